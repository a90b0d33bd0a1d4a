package twochattest

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Event is what a consumer got for one message.
type Event struct {
	ID string
	// Sequence is its place in the log, from 1; 0 if the log has none, which is then not checked.
	Sequence uint64
	// Late is the event's own mark: delivered after a message that the list shows above it.
	Late bool
	// Chat groups the events for the order within a chat; empty stands for the message's own chat.
	Chat string
	// Data is the item as it arrived, whether or not escapes without a character were replaced; nil is not checked.
	Data []byte
}

// Audit compares the events of one number with what its list showed. Pass each event to See, in the order of the log,
// then call Report. The zero Audit wants every message. It is used by one goroutine at a time.
type Audit struct {
	// From is the index of insertion from which messages are wanted: Fake.FirstRead for a reader that began with the
	// newest page, 0 for one that began with the oldest message.
	From int
	// Unwanted are uuids that need not arrive, regardless of From.
	Unwanted map[string]bool
	// Remote narrows what is wanted to one remote number, as the reader's list was.
	Remote string
	// FirstSequence is the sequence of the first event; 0 means 1.
	FirstSequence uint64
	// Compact ignores white space between the tokens of the data, for logs of one line an event.
	Compact bool

	events []sighting
}

type sighting struct {
	id, chat string
	sequence uint64
	late     bool
	hash     [32]byte // zero: not checked
}

// See takes the next event of the log.
func (a *Audit) See(e Event) {
	s := sighting{id: e.ID, chat: e.Chat, sequence: e.Sequence, late: e.Late}
	if e.Data != nil {
		s.hash = a.hash(e.Data)
	}
	a.events = append(a.events, s)
}

// SeeCloudEvent is See for a CloudEvent in the JSON format of twochat-connector: id, partitionkey, sequence, late,
// data. It skips the connector's checkpoints and quarantine records.
func (a *Audit) SeeCloudEvent(event []byte) error {
	var e struct {
		ID           string          `json:"id"`
		Type         string          `json:"type"`
		PartitionKey string          `json:"partitionkey"`
		Sequence     string          `json:"sequence"`
		Late         bool            `json:"late"`
		Data         json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(event, &e); err != nil {
		return fmt.Errorf("audit an event: %w", err)
	}
	if strings.HasSuffix(e.Type, ".connector.checkpoint") || strings.HasSuffix(e.Type, ".connector.reject") {
		return nil
	}
	var sequence uint64
	if e.Sequence != "" {
		var err error
		if sequence, err = strconv.ParseUint(e.Sequence, 10, 64); err != nil {
			return fmt.Errorf("audit an event: its sequence: %w", err)
		}
	}
	a.See(Event{ID: e.ID, Sequence: sequence, Late: e.Late, Chat: e.PartitionKey, Data: e.Data})
	return nil
}

func (a *Audit) hash(data []byte) [32]byte {
	if a.Compact {
		data = compact(data)
	}
	return sha256.Sum256(repaired(data))
}

// Report is the result of an Audit. What must be 0 comes first.
type Report struct {
	// Lost messages are listed, wanted, were put on top, and are not in the log. NeverShown of them were on no page that
	// was served completely, so a reader cannot have them yet.
	Lost, NeverShown int
	// Doubled events have an id that was in the log before.
	Doubled int
	// OutOfOrder events are not late, and come after one that the list shows above them; OutOfOrderInChat of them come
	// after one of their own chat. UnmarkedLate are such events of messages that were inserted below others: they should
	// have been marked as late.
	OutOfOrder, OutOfOrderInChat, UnmarkedLate int
	// Gaps are events whose sequence is not one more than that of the event before.
	Gaps int
	// Invented events have an id that was never listed, or data that was never served for it, or are poison.
	Invented int

	// LateMissing messages are listed, wanted, were inserted below others, and are not in the log: perhaps they were too
	// deep for the reader.
	LateMissing int
	// Held messages came with a replaced list or were older than it, and are not in the log: a reader cannot tell them
	// from history that it delivered long ago.
	Held int
	// Events are all events of the log, and Late those that are marked as late. Wanted messages were listed at the end.
	Events, Late, Wanted int
	// Gone messages were deleted and are not in the log. Poison items cannot become events.
	Gone, Poison int

	// Examples name the first offenders by id.
	Examples []string
}

const maxExamples = 10

func (r *Report) example(format string, arguments ...any) {
	if len(r.Examples) < maxExamples {
		r.Examples = append(r.Examples, fmt.Sprintf(format, arguments...))
	}
}

// Clean reports whether nothing is lost, duplicated, out of order, missing in the sequence or invented.
func (r Report) Clean() bool {
	return r.Lost == 0 && r.Doubled == 0 && r.OutOfOrder == 0 && r.UnmarkedLate == 0 && r.Gaps == 0 && r.Invented == 0
}

// String is the report for a person.
func (r Report) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%d lost, %d doubled, %d out of order, %d gaps, %d invented; %d events for %d wanted messages, %d marked late",
		r.Lost, r.Doubled, r.OutOfOrder+r.UnmarkedLate, r.Gaps, r.Invented, r.Events, r.Wanted, r.Late)
	for _, extra := range []struct {
		count int
		text  string
	}{
		{r.NeverShown, "of the lost were never shown"},
		{r.OutOfOrderInChat, "out of order within a chat"},
		{r.UnmarkedLate, "of the disordered were inserted late, and are not marked"},
		{r.LateMissing, "inserted late and not seen"},
		{r.Held, "of a replaced list held back"},
		{r.Gone, "deleted before they were seen"},
		{r.Poison, "poison items listed"},
	} {
		if extra.count > 0 {
			fmt.Fprintf(&out, "; %d %s", extra.count, extra.text)
		}
	}
	for _, example := range r.Examples {
		fmt.Fprintf(&out, "\n  %s", example)
	}
	return out.String()
}

// Report compares the events with the truth about their number, as returned by Fake.Truth. Take the truth after the
// last event.
func (a *Audit) Report(truth []Message) Report {
	var r Report
	ranks := make(map[string]int, len(truth))
	for rank, m := range truth {
		if m.Poison == "" || m.Poison == PoisonTooLarge {
			ranks[m.UUID] = rank
		}
	}
	met := make([]bool, len(truth))
	top, tops := -1, map[string]int{}
	expected := max(a.FirstSequence, 1)
	for i, e := range a.events {
		r.Events++
		if e.late {
			r.Late++
		}
		if e.sequence != 0 {
			if e.sequence != expected {
				r.Gaps++
				r.example("gap: event %d has sequence %d, not %d", i, e.sequence, expected)
			}
			expected = e.sequence + 1
		}
		rank, listed := ranks[e.id]
		switch {
		case !listed:
			r.Invented++
			r.example("invented: %s was never listed", e.id)
			continue
		case met[rank]:
			r.Doubled++
			r.example("doubled: %s again at place %d", e.id, i)
			continue
		case e.hash != [32]byte{} && !a.served(truth[rank], e.hash):
			r.Invented++
			r.example("invented: the data of %s was never served", e.id)
		}
		met[rank] = true
		if e.late {
			continue
		}
		chat := e.chat
		if chat == "" {
			chat = truth[rank].Chat
		}
		if rank > top {
			top = rank
		} else if truth[rank].Late {
			r.UnmarkedLate++
			r.example("late without mark: %s at place %d", e.id, i)
		} else {
			r.OutOfOrder++
			r.example("out of order: %s at place %d", e.id, i)
		}
		if before, spoke := tops[chat]; !spoke || rank > before {
			tops[chat] = rank
		} else {
			r.OutOfOrderInChat++
		}
	}
	a.missing(&r, truth, met)
	return r
}

// missing counts what was listed and did not arrive.
func (a *Audit) missing(r *Report, truth []Message, met []bool) {
	replaced := false
	for _, m := range truth {
		replaced = replaced || m.Old
	}
	for rank, m := range truth {
		switch {
		case m.Poison != "":
			r.Poison++
			continue
		case m.Index < a.From || a.Unwanted[m.UUID] || a.Remote != "" && m.Remote != a.Remote:
			continue
		case m.Deleted:
			if !met[rank] {
				r.Gone++
			}
			continue
		}
		r.Wanted++
		switch {
		case met[rank]:
		case m.Old || m.Backdated && replaced:
			r.Held++
		case m.Late:
			r.LateMissing++
			r.example("inserted late and not seen: %s", m.UUID)
		default:
			r.Lost++
			r.example("lost: %s", m.UUID)
			if !m.Served {
				r.NeverShown++
			}
		}
	}
}

func (a *Audit) served(m Message, hash [32]byte) bool {
	for _, version := range m.Versions() {
		if a.hash(version) == hash {
			return true
		}
	}
	return false
}
