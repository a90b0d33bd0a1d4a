package connector

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// varying is a row without an id whose bytes are others at each answer.
func varying(n, times int) Message {
	m := bad(n)
	m.Data = fmt.Appendf(nil, `{"views":%d}`, times)
	m.Key = ContentKey(m.Data)
	return m
}

// A row without an id whose bytes vary is quarantined once, wherever it stands, and counted then.
func TestReader_ARowThatVariesIsQuarantinedOnce(t *testing.T) {
	for name, place := range map[string]int{"on top": 8, "in the middle": 7, "on the second page": 4, "at the bottom": 1} {
		t.Run(name, func(t *testing.T) {
			d := settledDesk(t, beginning, newest(8, 1)...)
			at := d.list.place(place)
			if place != 8 {
				at++
			}
			d.list.rows = append(d.list.rows[:at:at], append([]Message{varying(70, 0)}, d.list.rows[at:]...)...)
			for i := range 60 {
				d.list.rows[at] = varying(70, i+1)
				if _, err := d.Poll(t.Context(), beginning); err != nil {
					t.Fatal(err)
				}
				d.sweep()
			}
			if n := len(d.log.rejects); n > 2 {
				t.Errorf("it is in the quarantine %d times", n)
			}
			if got := d.Reader.Checkpoint().Counters; len(d.log.rejects) > 0 && got.Suppressed < 40 {
				t.Errorf("counted %d times: %+v", got.Suppressed, got)
			}
		})
	}
}

// One that stays on top while messages come in below it has another place each time: few are kept an hour, and the rest is counted.
func TestReader_AFloodOfNamelessRowsIsBounded(t *testing.T) {
	d := settledDesk(t, beginning, newest(8, 1)...)
	n := 8
	for i := range 300 {
		n++
		d.list.rows = append([]Message{varying(70, i), message(n)}, d.list.rows...)
		if i > 0 {
			d.list.rows = append(d.list.rows[:2:2], d.list.rows[3:]...)
		}
		d.list.later = time.Duration(i) * time.Minute
		if _, err := d.Poll(t.Context(), beginning); err != nil {
			t.Fatal(err)
		}
	}
	if got, most := len(d.log.rejects), 6*namelessAnHour; got > most || got < 4*namelessAnHour {
		t.Errorf("%d in five hours, want at most %d", got, most)
	}
	if got := d.Reader.Checkpoint().Counters; int(got.Rejected) != len(d.log.rejects) || got.Suppressed < 100 {
		t.Errorf("%+v with %d in the quarantine", got, len(d.log.rejects))
	}
	if got, want := d.log.text(), ids(1, n); got != want {
		t.Errorf("the log has %s", got)
	}
}

// Rows without an id that differ are quarantined each, also where they come to one place one after the other.
func TestReader_NamelessRowsThatDifferAreAllQuarantined(t *testing.T) {
	d := settledDesk(t, beginning, newest(8, 1)...)
	for i := range 5 {
		d.list.rows = append([]Message{bad(70 + i)}, d.list.rows...)
		d.settle(6)
	}
	if n := len(d.log.rejects); n != 5 {
		t.Fatalf("%d of 5 in the quarantine", n)
	}
	d.list.rows = append([]Message{bad(80)}, d.list.rows[5:]...) // the five are deleted, and another comes
	d.settle(6)
	if n := len(d.log.rejects); n != 6 {
		t.Errorf("%d of 6 in the quarantine", n)
	}
}

// What is listed before its content is delivered as it is, and counted; so are rows that are not quarantined again.
func TestPoller_CountsWhatIsEmptyOrSuppressed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hollow := message(4)
		hollow.Empty = true
		s := newShift(t, nil, append([]Message{varying(70, 0), hollow}, newest(3, 1)...)...)
		pass(2 * time.Minute)
		for i := range 5 {
			s.list.change(func() { s.list.rows[0] = varying(70, i+1) })
			pass(2 * longest)
		}
		s.wantLog(ids(1, 4))
		if got := s.poller.Status().Counters; got.Empty != 1 || got.Rejected != 1 || got.Suppressed < 5 {
			t.Errorf("%+v", got)
		}
		counts := allSeries(t, s.registry, "messages_total")
		if counts["messages_total empty"] != 1 || counts["messages_total suppressed"] < 5 || counts["messages_total rejected"] != 1 {
			t.Errorf("%v", counts)
		}
		s.stop()
	})
}
