package connector

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func exampleCheckpoint() Checkpoint {
	return Checkpoint{
		Version: CheckpointVersion, Stream: "support", SourceKey: "0123", Privacy: "hashed", Epoch: 7, Owner: "host-1",
		Written: time.Date(2026, 1, 31, 12, 0, 0, 5, time.UTC), Started: true, Sequence: 12, Certified: 10,
		Floor: Keys{{1}, {2}}, Horizon: Keys{{3}}, HorizonAt: 4, Tail: Keys{{4}, {5}, {6}}, TailLate: []int{0, 2},
		GroundTime: time.Date(2026, 1, 31, 11, 0, 0, 0, time.UTC), MonthBegun: time.Date(2026, 1, 12, 5, 0, 0, 0, time.UTC),
		Rejects: Keys{{9}}, Counters: Counters{Late: 2, Held: 3, Rejected: 1},
		FormerNames: []string{"help"}, FormerKeys: FormerKeys{{Privacy: "clear", SourceKey: "0123", Last: 3}},
		Elsewhere: SequenceRanges{{1, 5}}, Sink: json.RawMessage(`{"partitions":[1,2]}`),
	}
}

func TestCheckpoint_RoundTrip(t *testing.T) {
	first := Checkpoint{Version: 1, Stream: "a", Owner: "b", Epoch: 1, Written: time.Unix(0, 0).UTC()}
	for name, c := range map[string]Checkpoint{"whole": exampleCheckpoint(), "first": first} {
		t.Run(name, func(t *testing.T) {
			event, err := c.AppendJSON([]byte("before"), "co.2chat.whatsapp")
			if err != nil {
				t.Fatal(err)
			}
			got, err := ParseCheckpoint(bytes.TrimPrefix(event, []byte("before")))
			if err != nil || !reflect.DeepEqual(got, c) {
				t.Errorf("%+v\ncomes back as\n%+v (%v)", c, got, err)
			}
		})
	}
}

// What was delivered from the quarantine or erased there does not lie there any more; what was both counts once.
func TestCounters_InQuarantine(t *testing.T) {
	erased := []Seen{{Key: Key{1}}, {Key: Key{2}}, {Key: Key{2}, Sequence: 9}, {Key: Key{3}, Sequence: 10}, {Key: Key{4}}}
	for _, c := range []struct {
		counters Counters
		want     uint64
	}{
		{Counters{Rejected: 5, Settled: 2}, 1},
		{Counters{Rejected: 2, Settled: 2}, 0},
		{Counters{Rejected: 4}, 2},
		{Counters{Rejected: 6, Elsewhere: 1}, 3}, // which other sinks have
	} {
		if got := c.counters.InQuarantine(erased); got != c.want {
			t.Errorf("%+v: %d, want %d", c.counters, got, c.want)
		}
	}
}

// What operators have recorded while an owner did not hold the stream comes with the ownership.
func TestCheckpoint_AdoptOwnership(t *testing.T) {
	found := exampleCheckpoint()
	found.ImportedFrom, found.Counters.Elsewhere = "file events.jsonl", 2
	c := Checkpoint{Stream: "support", Sequence: 12}
	c.AdoptOwnership(&found)
	if c.ImportedFrom != found.ImportedFrom || c.Counters.Elsewhere != 2 || c.Counters.Late != 0 {
		t.Errorf("%+v", c)
	}
	if !reflect.DeepEqual(c.FormerNames, found.FormerNames) || !reflect.DeepEqual(c.FormerKeys, found.FormerKeys) ||
		!reflect.DeepEqual(c.Elsewhere, found.Elsewhere) || c.Epoch != found.Epoch || c.Certified != 0 {
		t.Errorf("%+v", c)
	}
}

func TestCheckpoint_IsACloudEventOfItsOwn(t *testing.T) {
	c := exampleCheckpoint()
	event, err := c.AppendJSON(nil, "co.2chat.whatsapp")
	if err != nil {
		t.Fatal(err)
	}
	got := oracle(t, event)
	if got.Type() != "co.2chat.whatsapp.connector.checkpoint" || got.Source() != "//2chat.co/whatsapp/support" ||
		!got.Time().Equal(c.Written) {
		t.Errorf("it reads %s", got)
	}
	// No two checkpoints of a stream have the same id, as consumers drop duplicates by id.
	for _, change := range []func(*Checkpoint){
		func(c *Checkpoint) { c.Owner = "host-2" }, func(c *Checkpoint) { c.Epoch++ }, func(c *Checkpoint) { c.Sequence++ },
		func(c *Checkpoint) { c.Written = c.Written.Add(1) },
	} {
		other := c
		change(&other)
		event, err := other.AppendJSON(nil, "co.2chat.whatsapp")
		if err != nil {
			t.Fatal(err)
		}
		if oracle(t, event).ID() == got.ID() {
			t.Errorf("%s has the id of another", event)
		}
	}
}

func TestParseCheckpoint_Refuses(t *testing.T) {
	tests := []struct{ name, data, want string }{
		{"newer version", `{"version":2}`, "use the newer version of the program"},
		{"no version", `{"sequence":1}`, "no version"},
		{"certified above sequence", `{"version":1,"sequence":1,"certified":2}`, "contradicts itself"},
		{"more keys than events", `{"version":1,"sequence":0,"tail":"AAAAAAAAAAAAAAAAAAAAAA=="}`, "contradicts itself"},
		{
			"late place outside", `{"version":1,"sequence":1,"tail":"AAAAAAAAAAAAAAAAAAAAAA==","tail_late":[1]}`,
			"late place 1 of 1",
		},
		{
			"late place below", `{"version":1,"sequence":1,"tail":"AAAAAAAAAAAAAAAAAAAAAA==","tail_late":[-1]}`,
			"late place -1",
		},
		{"negative", `{"version":1,"sequence":-1}`, "decode checkpoint"},
		{"keys", `{"version":1,"tail":"AAAA"}`, "unpack keys"},
		{"cut", `{"version":1`, "decode checkpoint"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := ParseCheckpoint([]byte(`{"specversion":"1.0","data":` + test.data + `}`))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("it gives %+v and %v, want an error with %q", c, err, test.want)
			}
		})
	}
}

// FuzzParseCheckpoint checks that nothing panics, and that an accepted checkpoint can be written, read and used.
func FuzzParseCheckpoint(f *testing.F) {
	c := exampleCheckpoint()
	event, err := c.AppendJSON(nil, "co.2chat.whatsapp")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(event)
	f.Add([]byte(`{"data":{"version":1}}`))
	f.Add([]byte(`{"data":{"version":1,"sequence":1,"tail":"AAAAAAAAAAAAAAAAAAAAAA==","tail_late":[0,0]}}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, event []byte) {
		c, err := ParseCheckpoint(event)
		if err != nil {
			return
		}
		once, err := c.AppendJSON(nil, "p")
		if err != nil {
			t.Fatalf("what was read from %q cannot be written: %v", event, err)
		}
		again, err := ParseCheckpoint(once)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v: %s", err, once)
		}
		twice, err := again.AppendJSON(nil, "p")
		if err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%s\nis written again as\n%s (%v)", once, twice, err)
		}
	})
}
