package audit

import "time"

// Findings are the differences between a stream's list and its log. The first members are errors: they are empty if all
// is as promised. Noted explains the rest.
type Findings struct {
	// Missing messages are listed and should have been delivered, but are not in the log.
	Missing []Message `json:"missing"`
	// Doubled messages are in the log more than once.
	Doubled []Doubled `json:"doubled"`
	// OutOfOrder events are not marked late, and come after an event that the list shows above them, or in the sink after
	// one with a higher sequence.
	OutOfOrder []Message `json:"out_of_order"`
	// Changed messages differ between the log and the list. Which of the two was changed cannot be told: an edit in 2Chat
	// after the delivery looks the same.
	Changed []Message `json:"changed"`
	// Erased are runs of sequences that are gone from the log without a missing or restored message that accounts for
	// them: their messages are no longer listed, or were below the present beginning of the log.
	Erased []Range `json:"erased"`
	// Unfinished counts the events that were to be erased on request and are still in the log.
	Unfinished int `json:"unfinished"`
	// Unreadable counts the records among the events that are not events.
	Unreadable int `json:"unreadable"`
	// UnreadableAt is where the first of them are, at most a hundred: byte, sequence, or partition and offset.
	UnreadableAt []string `json:"unreadable_at"`

	Noted Noted `json:"noted"`
}

// Noted is what is not an error by itself.
type Noted struct {
	// OnlyInLog messages are in the log but not listed: they were deleted in 2Chat, or are no longer shown.
	OnlyInLog []Message `json:"only_in_log"`
	// Unfit items cannot become events, and are not in the quarantine.
	Unfit []Unfit `json:"unfit"`
	// NotYet counts messages that are listed above all that the connector has certified.
	NotYet int `json:"not_yet"`
	// BeforeStart counts messages that were listed before the stream's first start and left out.
	BeforeStart int `json:"before_start"`
	// Expired counts messages that are no longer in the log, as its oldest events were removed, by retention, a purge,
	// kafka-delete-records or with a file: they are listed below the present beginning of the log or, in Kafka, of their
	// partition.
	Expired int `json:"expired"`
	// Quarantined counts messages that could not become events, by reason.
	Quarantined map[string]int `json:"quarantined,omitempty"`
	// Held counts messages at or below what was listed when all ground was gone (connector/README.md, rule 8).
	Held int `json:"held"`
	// ErasedOnRequest counts messages that were erased on request, from the log or the quarantine.
	ErasedOnRequest int `json:"erased_on_request"`
	// Late counts events that are marked late.
	Late int `json:"late"`
	// Restored counts late events in place of earlier events that are gone.
	Restored int `json:"restored"`
	// Incomparable counts messages that were written as items although the configuration says rows, or the other way
	// round.
	Incomparable int `json:"incomparable"`
	// Elsewhere counts messages that were delivered to another sink, before a checkpoint was imported from there.
	Elsewhere int `json:"elsewhere"`
	// OtherToken counts events that were written before a rekey: only the chat's token differs from that of today.
	OtherToken int `json:"other_token"`
	// OtherPrivacy counts events that were not compared, as another pseudonym key, or none, was in force before a rekey.
	OtherPrivacy int `json:"other_privacy"`
	// OtherSettings counts events that were written with another `privacy.drop`, or other settings of events, and agree
	// with the list in all that both hold.
	OtherSettings int `json:"other_settings"`
}

// Message is a message by its uuid, without its content.
type Message struct {
	UUID string    `json:"uuid"`
	Time time.Time `json:"time,omitzero"`
	// Sequence is the sequence of its event. For a missing message it is the one that it had, if that can be told.
	Sequence uint64 `json:"sequence,omitempty"`
}

// Doubled is a message with the sequences of all its events, in the order of the sink.
type Doubled struct {
	UUID      string   `json:"uuid"`
	Sequences []uint64 `json:"sequences"`
}

// Range is a run of sequences, both ends included, of which Count are meant.
type Range struct {
	From  uint64 `json:"from"`
	To    uint64 `json:"to"`
	Count uint64 `json:"count"`
	// Beginning means that the log, or the partitions that had these events, begin above it, as they do if retention, a
	// purge, kafka-delete-records or the loss of a file removes the oldest events.
	Beginning bool `json:"beginning,omitempty"`
}

// Unfit is an item that cannot become an event.
type Unfit struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

// Wrong reports whether there is any error.
func (f *Findings) Wrong() bool {
	return len(f.Missing)+len(f.Doubled)+len(f.OutOfOrder)+len(f.Changed)+len(f.Erased)+f.Unfinished+f.Unreadable > 0
}

// erased counts the sequences that are gone.
func (f *Findings) erased() uint64 {
	count := uint64(0)
	for _, r := range f.Erased {
		count += r.Count
	}
	return count
}

// fill replaces nil by empty lists, as programs that read the report expect.
func (f *Findings) fill() {
	for _, of := range []*[]Message{&f.Missing, &f.OutOfOrder, &f.Changed, &f.Noted.OnlyInLog} {
		if *of == nil {
			*of = []Message{}
		}
	}
	if f.UnreadableAt == nil {
		f.UnreadableAt = []string{}
	}
	if f.Doubled == nil {
		f.Doubled = []Doubled{}
	}
	if f.Erased == nil {
		f.Erased = []Range{}
	}
	if f.Noted.Unfit == nil {
		f.Noted.Unfit = []Unfit{}
	}
}
