package reader

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

// A run of late messages is added below what a walk of a deep backlog delivered before it was interrupted. To walks
// that begin within the run it is unknown, from its top down to ground; it is late nevertheless, as delivered messages
// are above it. However long it is, walks get past it, and finally everything is certified.
func TestReader_ALateRunBelowWhatWasDeliveredOfADeepBacklog(t *testing.T) {
	for _, run := range []int{1, 3, 4, 5, 9, 12, 16, 30, 70} {
		for _, pool := range []WorkerPool{nil, connectortest.SerialWorkers{}} {
			t.Run(fmt.Sprintf("%d, %T", run, pool), func(t *testing.T) {
				d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(12, 1)...)
				d.list.Add(connectortest.Newest(120, 13)...)
				d.log.MaxCommit = connector.Limits{Messages: 5, Bytes: 1 << 20}
				d.reading.Workers = pool
				d.restart()
				chunks := 0
				d.log.Answer = cutAfter(&chunks, 1)
				for len(d.log.Events) == 12 {
					_, _ = d.Poll(t.Context(), d.start)
				}
				d.log.Answer = nil
				d.wantCertified(12)
				for n := range run {
					d.list.Under(13, connectortest.Message(1000+n))
				}
				d.restart()
				d.settle(300)
				d.wantCertified(uint64(120 + run))
				var onTime []string
				late := 0
				for _, id := range strings.Fields(d.log.Text()) {
					if strings.HasSuffix(id, "*") {
						late++
					} else {
						onTime = append(onTime, id)
					}
				}
				if got := strings.Join(onTime, " "); got != connectortest.IDs(1, 120) || late != run {
					t.Errorf("%d late of %d; in order: %s", late, run, got)
				}
			})
		}
	}
}

// cutAfter answers commits with a crash after that many commits with events.
func cutAfter(done *int, most int) func(context.Context, []connector.Event) (bool, error) {
	return func(_ context.Context, events []connector.Event) (bool, error) {
		if len(events) == 0 {
			return true, nil
		}
		if *done++; *done > most {
			return false, errors.New("crashed")
		}
		return true, nil
	}
}
