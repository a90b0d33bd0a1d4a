package audit

import (
	"errors"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// What another sink holds, and what was written with other chat tokens, is neither erased nor changed; whatever else is
// gone or differs still is.
func TestCompare_MovedAndRekeyed(t *testing.T) {
	imported := func(ranges ...connector.SequenceRange) connector.Checkpoint {
		return connector.Checkpoint{Sequence: 20, Certified: 20, Elsewhere: ranges}
	}
	skipped := func(from, to uint64) connector.Checkpoint {
		return connector.Checkpoint{
			Sequence: 20, Certified: 20, Skipped: connector.SequenceRanges{{From: from, To: to}},
		}
	}
	rekeyed := func(former, now string) connector.Checkpoint {
		return connector.Checkpoint{
			Sequence: 20, Certified: 20, Privacy: now, FormerKeys: []connector.FormerKey{{Privacy: former, Last: 8}},
		}
	}
	for name, c := range map[string]struct {
		list, log  string
		checkpoint connector.Checkpoint
		want       string
	}{
		"imported": {
			list: "1-20", log: "11-20", checkpoint: imported(connector.SequenceRange{From: 1, To: 10}), want: "elsewhere 10",
		},
		"imported, and nothing delivered yet": {
			list: "1-23", log: "", checkpoint: imported(connector.SequenceRange{From: 1, To: 20}),
			want: "not yet 3; elsewhere 20",
		},
		"continued after a number, and what was lost is listed again": {
			list: "1-20", log: "1-10 11@16 12@17 13@18 14@19 15@20", checkpoint: skipped(11, 15), want: "not yet 5",
		},
		"continued after a number that was never reached, and one deleted": {
			list: "1-10 16-20", log: "1-4 6-10 16-20", checkpoint: skipped(11, 15), want: "missing m5@5",
		},
		"continued after a number, and retention took what was before": {
			list: "1-10 16-20", log: "17-20", checkpoint: skipped(11, 15), want: "erased 11 of 1-16 true; expired 11",
		},
		"continued after a number, and nothing is left": {
			list: "1-10 16-20", log: "", checkpoint: skipped(11, 15), want: "erased 15 of 1-20 true; expired 15",
		},
		"imported, and some deleted since": {
			list: "1-20", log: "13-15 17-20", checkpoint: imported(connector.SequenceRange{From: 1, To: 10}),
			want: "missing m16@16; erased 2 of 11-12 true; expired 2; elsewhere 10",
		},
		"imported back": {
			list: "1-24", log: "1-5 16-20", checkpoint: imported(connector.SequenceRange{From: 6, To: 15}),
			want: "not yet 4; elsewhere 10",
		},
		"imported back, and some deleted": {
			list: "1-20", log: "1-4 18-20", checkpoint: imported(connector.SequenceRange{From: 6, To: 15}),
			want: "missing m5@5 m16@16 m17@17; elsewhere 10",
		},
		"imported back, and one was never delivered": {
			list: "1-10 50 11-20", log: "1-5 16-20", checkpoint: imported(connector.SequenceRange{From: 6, To: 15}),
			want: "missing m15; elsewhere 10",
		},
		"rekeyed": {
			list: "1-20", log: "1~ 2~ 3~ 4~ 5~ 6~ 7~ 8~ 9-20", checkpoint: rekeyed("clear", "hashed"), want: "other token 8",
		},
		"rekeyed, and edited": {
			list: "1-20", log: "1~ 2~! 3~ 4~ 5~ 6~ 7~ 8~ 9~ 10-20", checkpoint: rekeyed("clear", "hashed"),
			want: "changed m2@2 m9@9; other token 7",
		},
		"with another pseudonym key": {
			list: "1-20", log: "1~! 2~! 3-8 9~ 10! 11-20", checkpoint: rekeyed("pseudonymous:1", "pseudonymous:2"),
			want: "changed m9@9 m10@10; other privacy 2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			log := NewLogged()
			for _, token := range numbers(c.log) {
				if err := log.Add(connector.StoredRecord{Event: eventOf(t, token)}); err != nil {
					t.Fatal(err)
				}
			}
			list := NewListed(nil, func(key connector.Key) bool { return !log.Has(key) })
			for _, token := range numbers(c.list) {
				r, err := list.decoder.decode(eventOf(t, token))
				if err != nil {
					t.Fatal(err)
				}
				list.rows = append(list.rows, r)
			}
			findings, _, _ := Compare(list, log, c.checkpoint, time.Time{})
			if got := findings.text(); got != c.want {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

// What stands under several names is one log, in which order is defined under each name only, and a foreign record that
// every name shows counts once.
func TestCompare_FormerNames(t *testing.T) {
	log := NewLogged()
	list := NewListed(nil, func(connector.Key) bool { return false })
	foreign := connector.StoredRecord{
		Fault: errors.New("foreign"), Position: connector.RecordPosition{Container: "file, byte", At: 7},
	}
	for i, text := range []string{"1-5 8-10", "6 7"} { // the first name was taken back
		if i > 0 {
			log.NextName()
		}
		if err := log.Add(foreign); err != nil {
			t.Fatal(err)
		}
		for _, token := range numbers(text) {
			if err := log.Add(connector.StoredRecord{Event: eventOf(t, token)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, token := range numbers("1-10") {
		r, err := list.decoder.decode(eventOf(t, token))
		if err != nil {
			t.Fatal(err)
		}
		list.rows = append(list.rows, r)
	}
	findings, _, _ := Compare(list, log, connector.Checkpoint{Sequence: 10, Certified: 10}, time.Time{})
	if got := findings.text(); got != "unreadable 1" {
		t.Errorf("found %q", got)
	}
}
