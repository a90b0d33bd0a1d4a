package reader

import (
	"context"
	"errors"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

// A search for a place in the list ends within its bounds, whatever the list answers, and reports that it failed.
func TestExponentialSearch_EndsWhateverTheListAnswers(t *testing.T) {
	page := func(numbers ...int) connector.Page {
		var p connector.Page
		for _, n := range numbers {
			p.Messages = append(p.Messages, connectortest.Message(n))
		}
		return p
	}
	doubling := func(high, step int) int { return high + 2*step }
	stepping := func(high, _ int) int { return high + 1 }
	for _, test := range []struct {
		name    string
		answer  func(number int) connector.Page
		further func(high, step int) int
		most    int // calls
	}{
		{"the page number is ignored", func(int) connector.Page { return page(2, 1) }, doubling, 8},
		{"it is cut to the last page", func(number int) connector.Page { return page(-min(number, 6)) }, doubling, 12},
		{"the list goes on for ever", func(number int) connector.Page { return page(-number) }, doubling, 24},
		{"it goes on for ever, and steps are small", func(number int) connector.Page { return page(-number) }, stepping, 50},
	} {
		for _, pool := range []WorkerPool{nil, connectortest.SerialWorkers{}} {
			calls := 0
			g := exponentialSearch{pool: pool, bounds: NewSearchBounds(50), bottom: func(p connector.Page) bool {
				return len(p.Messages) == 0
			}}
			g.read = func(_ context.Context, number int, _ connector.Fingerprint) (connector.Page, error) {
				calls++
				return test.answer(number), nil
			}
			if at, err := g.find(t.Context(), -1, 1, test.further); !errors.Is(err, ErrStalled) {
				t.Errorf("%s: found page %d, %v", test.name, at, err)
			}
			if calls > test.most {
				t.Errorf("%s: %d calls, want at most %d", test.name, calls, test.most)
			}
		}
	}
}

// A first start from a time takes older messages as its floor, even if they are fewer than a run at the end of the
// list.
func TestReader_AFloorOfFewOldMessages(t *testing.T) {
	d := newReaderFixture(t, connector.Start{Since: connectortest.Minute(2)}, connectortest.Newest(10, 1)...)
	d.settle(20)
	d.wantLog(connectortest.IDs(2, 10))
	if floor := d.Checkpoint().Floor; len(floor) != 1 || floor[0] != connectortest.Message(1).Key {
		t.Errorf("the floor is %d messages", len(floor))
	}
}
