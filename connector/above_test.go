package connector

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// A run of late messages comes in below what a walk of a deep backlog delivered before it was cut. Walks that begin
// within the run find it unknown, from its top down to ground; it is late all the same, as what was delivered lies
// above. However long it is, walks come past it, and everything is certified in the end.
func TestReader_ALateRunBelowWhatWasDeliveredOfADeepBacklog(t *testing.T) {
	for _, run := range []int{1, 3, 4, 5, 9, 12, 16, 30, 70} {
		for _, crew := range []Crew{nil, inTurn{}} {
			t.Run(fmt.Sprintf("%d, %T", run, crew), func(t *testing.T) {
				d := settledDesk(t, beginning, newest(12, 1)...)
				d.list.add(newest(120, 13)...)
				d.log.limits = Limits{Messages: 5, Bytes: 1 << 20}
				d.reading.Crew = crew
				d.restart()
				pieces := 0
				d.log.answer = cutAfter(&pieces, 1)
				for len(d.log.events) == 12 {
					_, _ = d.Poll(t.Context(), d.start)
				}
				d.log.answer = nil
				d.wantCertified(12)
				for n := range run {
					d.list.under(13, message(1000+n))
				}
				d.restart()
				d.settle(300)
				d.wantCertified(uint64(120 + run))
				var onTime []string
				late := 0
				for _, id := range strings.Fields(d.log.text()) {
					if strings.HasSuffix(id, "*") {
						late++
					} else {
						onTime = append(onTime, id)
					}
				}
				if got := strings.Join(onTime, " "); got != ids(1, 120) || late != run {
					t.Errorf("%d late of %d; in order: %s", late, run, got)
				}
			})
		}
	}
}

// inTurn is a crew that does in turn what others do side by side.
type inTurn struct{}

func (inTurn) Each(ctx context.Context, n int, do func(context.Context, int) error) error {
	for i := range n {
		if err := do(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

func (inTurn) Aside(do func()) func() {
	do()
	return func() {}
}

// cutAfter answers commits with a crash after so many that hold events.
func cutAfter(done *int, most int) func(context.Context, []Event) (bool, error) {
	return func(_ context.Context, events []Event) (bool, error) {
		if len(events) == 0 {
			return true, nil
		}
		if *done++; *done > most {
			return false, errCrash
		}
		return true, nil
	}
}
