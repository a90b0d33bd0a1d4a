package twochattest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// world is a list with some of everything, and the log that a perfect reader makes of it.
func world(t *testing.T) (*Fake, []Event) {
	t.Helper()
	fake := New(Options{Seed: 9, History: 40, Now: at})
	fake.Insert("", 20)
	ask(fake, listPath+DefaultNumber)
	late := fake.Late("", 10)
	fake.Edit("", 0)
	fake.Delete("", 5)
	for _, poison := range Poisons() {
		fake.Poison("", poison)
	}
	fake.Insert("", 5)
	ask(fake, listPath+DefaultNumber)
	var events []Event
	for _, m := range fake.Truth("") {
		if m.Poison == "" && m.UUID != late {
			events = append(events, Event{ID: m.UUID, Data: m.Versions()[0]})
		}
	}
	for _, m := range fake.Truth("") {
		if m.UUID == late {
			events = append(events, Event{ID: late, Data: m.Data(), Late: true})
		}
	}
	number(events)
	return fake, events
}

func number(events []Event) {
	for i := range events {
		events[i].Sequence = uint64(i + 1)
	}
}

func TestAudit_FindsWhatWasPlanted(t *testing.T) {
	// Of the 66 good messages one is deleted after it was seen. Place 30 is in the history, 50 and 51 are neighbours.
	for name, test := range map[string]struct {
		plant func(events []Event) []Event
		want  Report
	}{
		"nothing": {func(events []Event) []Event { return events }, Report{}},
		"loss": {func(events []Event) []Event {
			events = slices.Delete(events, 30, 32)
			number(events)
			return events
		}, Report{Lost: 2}},
		"loss with a gap": {func(events []Event) []Event { return slices.Delete(events, 30, 32) }, Report{Lost: 2, Gaps: 1}},
		"late loss":       {func(events []Event) []Event { return events[:len(events)-1] }, Report{LateMissing: 1}},
		"double": {func(events []Event) []Event {
			events = append(events, events[30])
			number(events)
			return events
		}, Report{Doubled: 1}},
		"a sequence twice": {func(events []Event) []Event {
			events[30].Sequence = events[29].Sequence
			return events
		}, Report{Gaps: 2}},
		"a late start": {func(events []Event) []Event {
			for i := range events {
				events[i].Sequence++
			}
			return events
		}, Report{Gaps: 1}},
		"disorder": {func(events []Event) []Event {
			events[50], events[51] = events[51], events[50]
			events[50].Chat, events[51].Chat = "a", "b"
			number(events)
			return events
		}, Report{OutOfOrder: 1}},
		"disorder within a chat": {func(events []Event) []Event {
			events[50], events[51] = events[51], events[50]
			events[50].Chat, events[51].Chat = "a", "a"
			number(events)
			return events
		}, Report{OutOfOrder: 1, OutOfOrderInChat: 1}},
		"disorder that is marked": {func(events []Event) []Event {
			events[50], events[51] = events[51], events[50]
			events[51].Late = true
			number(events)
			return events
		}, Report{}},
		"late without mark": {func(events []Event) []Event {
			events[len(events)-1].Late, events[len(events)-1].Chat = false, "its own"
			return events
		}, Report{UnmarkedLate: 1}},
		"invented id": {func(events []Event) []Event {
			return append(events, Event{ID: "MSG1", Sequence: uint64(len(events) + 1)})
		}, Report{Invented: 1}},
		"other data": {func(events []Event) []Event {
			events[3].Data = append([]byte(" "), events[3].Data...)
			return events
		}, Report{Invented: 1}},
		"no data and no sequence": {func(events []Event) []Event {
			for i := range events {
				events[i].Data, events[i].Sequence = nil, 0
			}
			return events
		}, Report{}},
	} {
		t.Run(name, func(t *testing.T) {
			fake, events := world(t)
			var audit Audit
			for _, e := range test.plant(events) {
				audit.See(e)
			}
			got := audit.Report(fake.Truth(""))
			if got.Poison != 5 || got.Wanted != 65 {
				t.Errorf("%d poison, %d wanted", got.Poison, got.Wanted)
			}
			if clean := test.want.Clean(); got.Clean() != clean {
				t.Errorf("clean is %v", got.Clean())
			}
			short := Report{
				Lost: got.Lost, Doubled: got.Doubled, OutOfOrder: got.OutOfOrder, OutOfOrderInChat: got.OutOfOrderInChat,
				UnmarkedLate: got.UnmarkedLate, Gaps: got.Gaps, Invented: got.Invented, LateMissing: got.LateMissing,
			}
			if short.String() != test.want.String() {
				t.Errorf("got  %v\nwant %v\n%v", short, test.want, got)
			}
		})
	}
}

func TestAudit_WantedFrom(t *testing.T) {
	fake := New(Options{History: 30, Now: at})
	ask(fake, listPath+DefaultNumber)
	uuids := fake.Insert("", 4)
	audit := Audit{From: fake.FirstRead("", ""), Unwanted: map[string]bool{uuids[1]: true}}
	audit.See(Event{ID: uuids[0], Sequence: 1})
	audit.See(Event{ID: uuids[3], Sequence: 2})
	got := audit.Report(fake.Truth(""))
	if got.Lost != 1 || got.Wanted != 3 || got.NeverShown != 1 || got.Clean() ||
		!strings.Contains(got.String(), uuids[2]) {
		t.Errorf("got %v", got)
	}
}

func TestAudit_RemoteAndReplaced(t *testing.T) {
	fake := New(Options{History: 300, Now: at})
	audit := Audit{Remote: fake.Truth("")[0].Remote}
	for _, m := range fake.Truth("") {
		if m.Remote == audit.Remote {
			audit.See(Event{ID: m.UUID})
		}
	}
	if got := audit.Report(fake.Truth("")); !got.Clean() || got.Wanted == 0 || got.Wanted == 300 {
		t.Errorf("one remote: %v", got)
	}
	fake.Replace("", 100)
	fake.Insert("", 2)
	if got := new(Audit).Report(fake.Truth("")); got.Held != 100 || got.Lost != 2 || got.Gone != 300 {
		t.Errorf("replaced: %v", got)
	}
}

func TestAudit_Compact(t *testing.T) {
	fake := New(Options{Now: at})
	fake.Insert("", 1)
	ask(fake, listPath+DefaultNumber)
	m := fake.Truth("")[0]
	for _, compact := range []bool{false, true} {
		audit := Audit{Compact: compact}
		audit.See(Event{ID: m.UUID, Data: append([]byte("\n "), m.Data()...)})
		if got := audit.Report(fake.Truth("")); got.Clean() != compact {
			t.Errorf("compact %v: %v", compact, got)
		}
	}
}

func TestAudit_SeeCloudEvent(t *testing.T) {
	fake := New(Options{History: 3, Shapes: ShapesLive, Now: at})
	ask(fake, listPath+DefaultNumber)
	var audit Audit
	for i, m := range fake.Truth("") {
		event := fmt.Appendf(nil, `{"id":%q,"type":"x.message.new","partitionkey":"c","sequence":"%020d","data":%s}`, m.UUID,
			i+1, m.Data())
		if err := audit.SeeCloudEvent(event); err != nil {
			t.Fatal(err)
		}
		if err := audit.SeeCloudEvent([]byte(`{"id":"1","type":"x.connector.checkpoint","data":{}}`)); err != nil {
			t.Fatal(err)
		}
	}
	if got := audit.Report(fake.Truth("")); !got.Clean() || got.Events != 3 {
		t.Errorf("got %v", got)
	}
	for _, bad := range []string{``, `{"id":1}`, `{"id":"1","sequence":"x"}`} {
		if audit.SeeCloudEvent([]byte(bad)) == nil {
			t.Errorf("took %q", bad)
		}
	}
}
