package poller

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

// A message that is listed before its content is delivered as it is, and counted; so are rows that are not quarantined
// again.
func TestPoller_CountsWhatIsEmptyOrSuppressed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hollow := connectortest.Message(4)
		hollow.Empty = true
		s := newPollerFixture(t, nil, append([]connector.Message{connectortest.Varying(70, 0), hollow},
			connectortest.Newest(3, 1)...)...)
		pass(2 * time.Minute)
		for i := range 5 {
			s.list.Change(func() { s.list.Rows[0] = connectortest.Varying(70, i+1) })
			pass(2 * longest)
		}
		s.wantLog(connectortest.IDs(1, 4))
		if got := s.poller.Status().Counters; got.Empty != 1 || got.Rejected != 1 || got.Suppressed < 5 {
			t.Errorf("%+v", got)
		}
		counts := allSeries(t, s.registry, "messages_total")
		if counts["messages_total empty"] != 1 || counts["messages_total suppressed"] < 5 ||
			counts["messages_total rejected"] != 1 {
			t.Errorf("%v", counts)
		}
		s.stop()
	})
}
