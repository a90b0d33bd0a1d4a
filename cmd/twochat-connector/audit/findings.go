package audit

import "time"

// Findings are what differs between a stream's list and its log. What is wrong comes first: none of it is there where
// all is as promised. The rest explains itself.
type Findings struct {
	// Missing messages are listed, and were to be delivered, and the log lacks them.
	Missing []Message `json:"missing"`
	// Doubled messages stand in the log more than once.
	Doubled []Doubled `json:"doubled"`
	// OutOfOrder events are not marked late, and stand after one that the list shows above them, or in the sink after one
	// of a higher sequence.
	OutOfOrder []Message `json:"out_of_order"`
	// Changed messages are other ones in the log than in the list. Which of the two was changed cannot be told: an edit in
	// 2Chat after the delivery looks the same.
	Changed []Message `json:"changed"`
	// Erased are runs of sequences that are gone from the log, and no message that is missing or was restored accounts for
	// them: their messages are not listed any more, or lay where the log begins now.
	Erased []Range `json:"erased"`
	// Unreadable records stand among the events and are none.
	Unreadable int `json:"unreadable"`
	// UnreadableAt is where the first of them stand, a hundred at most: byte, sequence, or partition and offset.
	UnreadableAt []string `json:"unreadable_at"`

	Noted Noted `json:"noted"`
}

// Noted is what is not wrong by itself.
type Noted struct {
	// OnlyInLog messages are in the log and not listed: they were deleted in 2Chat, or are not shown any more.
	OnlyInLog []Message `json:"only_in_log"`
	// Unfit items cannot become events, and are not in the quarantine.
	Unfit []Unfit `json:"unfit"`
	// NotYet messages are listed above all that the connector has certified.
	NotYet int `json:"not_yet"`
	// BeforeStart messages were listed before the stream's first start, and not wanted.
	BeforeStart int `json:"before_start"`
	// Expired messages are listed below where the log begins now.
	Expired int `json:"expired"`
	// Quarantined messages could not become events, by the reason.
	Quarantined map[string]int `json:"quarantined,omitempty"`
	// Held messages stand at or below what was listed when all ground was gone (connector/README.md, rule 8).
	Held int `json:"held"`
	// Late events say so of themselves.
	Late int `json:"late"`
	// Restored events are late ones where events are gone that were there before.
	Restored int `json:"restored"`
	// Incomparable messages were written as items where the configuration says rows, or the other way round.
	Incomparable int `json:"incomparable"`
}

// Message is a message by its uuid, without its content.
type Message struct {
	UUID string    `json:"uuid"`
	Time time.Time `json:"time,omitzero"`
	// Sequence is its event's; of a missing message the one that it had, where that can be told.
	Sequence uint64 `json:"sequence,omitempty"`
}

// Doubled is a message with the sequences of all its events, in the order of the sink.
type Doubled struct {
	UUID      string   `json:"uuid"`
	Sequences []uint64 `json:"sequences"`
}

// Range is a run of sequences, both ends included, of which so many are meant.
type Range struct {
	From  uint64 `json:"from"`
	To    uint64 `json:"to"`
	Count uint64 `json:"count"`
	// Beginning says that the log begins above it, as it does where retention removes the oldest events.
	Beginning bool `json:"beginning,omitempty"`
}

// Unfit is an item that cannot become an event.
type Unfit struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

// Wrong reports whether anything is.
func (f *Findings) Wrong() bool {
	return len(f.Missing)+len(f.Doubled)+len(f.OutOfOrder)+len(f.Changed)+len(f.Erased)+f.Unreadable > 0
}

// erased counts the sequences that are gone.
func (f *Findings) erased() uint64 {
	count := uint64(0)
	for _, r := range f.Erased {
		count += r.Count
	}
	return count
}

// fill makes lists of nothing where there is none, as programs that read the report expect.
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
