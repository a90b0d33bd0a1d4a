package reader

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

// A list deeper than a slice in whose midst a page is empty for good is read through at a first start, wherever the
// empty page is, in a limited number of calls. Only what that page would show is missing.
func TestReader_AGapForGoodAtTheFirstStart(t *testing.T) {
	for _, first := range []struct {
		name   string
		start  connector.Start
		oldest int // the oldest wanted message
	}{
		{"beginning", connectortest.StartBeginning, 1},
		{"a time", connector.Start{Since: connectortest.Minute(7)}, 7},
		{"a time before the list", connector.Start{Since: connectortest.Minute(-7)}, 1},
	} {
		for name, workers := range map[string]WorkerPool{"in turn": nil, "in parallel": connectortest.SerialWorkers{}} {
			for gap := 1; gap < 24; gap++ {
				t.Run(fmt.Sprintf("%s, %s, page %d", first.name, name, gap), func(t *testing.T) {
					d := newReaderFixture(t, first.start, connectortest.Newest(100, 1)...)
					d.reading.Workers = workers
					d.restart()
					d.list.Raw = map[int]connector.Page{gap: {}}
					for polls := 0; ; polls++ {
						d.list.Later += small.CheckOver / 10
						out, err := d.Poll(t.Context(), d.start)
						if out.Unchanged {
							break
						}
						if polls > 60 || err != nil && !LeftUnchanged(err) {
							t.Fatalf("after %d polls, %d calls and %d events: %v", polls, len(d.list.Asked), len(d.log.Events), err)
						}
					}
					var want []string
					for n := first.oldest; n <= 100; n++ {
						if (100-n)/small.Page != gap {
							want = append(want, fmt.Sprint("m", n))
						}
					}
					d.wantLog(strings.Join(want, " "))
					d.wantCertified(uint64(len(want)))
					if calls := len(d.list.Asked); calls > 12*100/small.Page {
						t.Errorf("it took %d calls", calls)
					}
				})
			}
		}
	}
}

// Below an empty page no more pages are asked for than it takes to see that the list goes on; at its end they are asked
// for in parallel.
func TestReader_TheListGoesOnBelowAnEmptyPage(t *testing.T) {
	for name, workers := range map[string]WorkerPool{"in turn": nil, "in parallel": Workers(4)} {
		t.Run(name, func(t *testing.T) {
			d := newReaderFixture(t, connectortest.StartBeginning, connectortest.Newest(12, 1)...)
			d.reading.Workers = workers
			d.restart()
			d.poll()
			d.progress.searched = true
			d.list.Raw = map[int]connector.Page{1: {}}
			d.list.Requests()
			_, err := d.Poll(t.Context(), d.start)
			if fault := (*connector.PageError)(nil); !errors.As(err, &fault) {
				t.Fatalf("poll: %v", err)
			}
			pages := strings.Fields(d.list.Requests())
			if i := slices.Index(pages, "2"); i < 0 || len(pages)-i > 1 {
				t.Errorf("pages asked for: %v", pages)
			}
		})
	}
}
