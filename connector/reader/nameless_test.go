package reader

import (
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

// A row without an id whose bytes vary is quarantined once, wherever it is, and only counted from then on.
func TestReader_ARowThatVariesIsQuarantinedOnce(t *testing.T) {
	for name, place := range map[string]int{"on top": 8, "in the middle": 7, "on the second page": 4, "at the bottom": 1} {
		t.Run(name, func(t *testing.T) {
			d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(8, 1)...)
			at := d.list.Place(place)
			if place != 8 {
				at++
			}
			d.list.Rows = append(d.list.Rows[:at:at], append([]connector.Message{connectortest.Varying(70, 0)},
				d.list.Rows[at:]...)...)
			for i := range 60 {
				d.list.Rows[at] = connectortest.Varying(70, i+1)
				if _, err := d.Poll(t.Context(), connectortest.StartBeginning); err != nil {
					t.Fatal(err)
				}
				d.sweep()
			}
			if n := len(d.log.Rejects); n > 2 {
				t.Errorf("it is in the quarantine %d times", n)
			}
			if got := d.Reader.Checkpoint().Counters; len(d.log.Rejects) > 0 && got.Suppressed < 40 {
				t.Errorf("counted %d times: %+v", got.Suppressed, got)
			}
		})
	}
}

// A row that stays on top while messages are added below it has another position each time: a few are quarantined per
// hour, and the rest are counted.
func TestReader_AFloodOfNamelessRowsIsBounded(t *testing.T) {
	d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(8, 1)...)
	n := 8
	for i := range 300 {
		n++
		d.list.Rows = append([]connector.Message{connectortest.Varying(70, i), connectortest.Message(n)}, d.list.Rows...)
		if i > 0 {
			d.list.Rows = append(d.list.Rows[:2:2], d.list.Rows[3:]...)
		}
		d.list.Later = time.Duration(i) * time.Minute
		if _, err := d.Poll(t.Context(), connectortest.StartBeginning); err != nil {
			t.Fatal(err)
		}
	}
	if got, most := len(d.log.Rejects), 6*namelessAnHour; got > most || got < 4*namelessAnHour {
		t.Errorf("%d in five hours, want at most %d", got, most)
	}
	if got := d.Reader.Checkpoint().Counters; int(got.Rejected) != len(d.log.Rejects) || got.Suppressed < 100 {
		t.Errorf("%+v with %d in the quarantine", got, len(d.log.Rejects))
	}
	if got, want := d.log.Text(), connectortest.IDs(1, n); got != want {
		t.Errorf("the log has %s", got)
	}
}

// Different rows without an id are all quarantined, even if they take the same position one after the other.
func TestReader_NamelessRowsThatDifferAreAllQuarantined(t *testing.T) {
	d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(8, 1)...)
	for i := range 5 {
		d.list.Rows = append([]connector.Message{connectortest.Faulty(70 + i)}, d.list.Rows...)
		d.settle(6)
	}
	if n := len(d.log.Rejects); n != 5 {
		t.Fatalf("%d of 5 in the quarantine", n)
	}
	// the five are deleted, and another one is added
	d.list.Rows = append([]connector.Message{connectortest.Faulty(80)}, d.list.Rows[5:]...)
	d.settle(6)
	if n := len(d.log.Rejects); n != 6 {
		t.Errorf("%d of 6 in the quarantine", n)
	}
}
