package audit

import (
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Where each part of a sink loses its oldest events by itself, what such a part held is not missing, and not repaired. What
// is gone from the middle of it, or from a part that lost nothing, is missing.
func TestCompare_PartsThatLoseTheirOldest(t *testing.T) {
	for name, c := range map[string]struct {
		even, odd     string // what the two parts hold of messages 1 to 20
		removed       func(part int) bool
		want, missing string
	}{
		"nothing": {"2 4 6 8 10 12 14 16 18 20", "1 3 5 7 9 11 13 15 17 19", nil, "", ""},
		"one of two": {
			"8 10 12 14 16 18 20", "1 3 5 7 9 11 13 15 17 19", func(part int) bool { return part == 0 },
			"erased 3 of 2-6 true; expired 3", "",
		},
		"all of one": {
			"", "1 3 5 7 9 11 13 15 17 19", func(part int) bool { return part == 0 }, "erased 10 of 2-20 true; expired 10", "",
		},
		"and one from its middle": {
			"8 10 14 16 18 20", "1 3 5 7 9 11 13 15 17 19", func(part int) bool { return part == 0 },
			"missing m12@12; erased 3 of 2-6 true; expired 3", "12",
		},
		"and one from the other": {
			"8 10 12 14 16 18 20", "1 5 7 9 11 13 15 17 19", func(part int) bool { return part == 0 },
			"missing m3@3; erased 3 of 2-6 true; expired 3", "3",
		},
		"somebody removed them": {
			"8 10 12 14 16 18 20", "1 3 5 7 9 11 13 15 17 19", func(int) bool { return false },
			"missing m2@2 m4@4 m6@6", "2 4 6",
		},
	} {
		log, list := NewLogged(), NewListed(nil, func(connector.Key) bool { return false })
		for part, tokens := range []string{c.even, c.odd} {
			for _, token := range numbers(tokens) {
				if err := log.Add(connector.StoredRecord{Part: part, Event: eventOf(t, token)}); err != nil {
					t.Fatal(err)
				}
			}
		}
		for n, token := range numbers("1-20") {
			r, err := list.decoder.decode(eventOf(t, token))
			if err != nil {
				t.Fatal(err)
			}
			r.part = int32((n + 1) % 2)
			r.removed = c.removed != nil && c.removed(int(r.part))
			list.rows = append(list.rows, r)
		}
		f, missing, _ := Compare(list, log, connector.Checkpoint{Sequence: 20, Certified: 20}, time.Time{})
		if got := f.text(); got != c.want {
			t.Errorf("%s: found %q, want %q", name, got, c.want)
		}
		if want := keysOf(c.missing); len(missing) != len(want) || len(want) == 1 && missing[0] != want[0] {
			t.Errorf("%s: %d messages to repair, want %d", name, len(missing), len(want))
		}
	}
}
