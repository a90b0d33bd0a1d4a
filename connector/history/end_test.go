package history

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// cut is a list that is empty from a page on.
type cut struct {
	*flood
	from int // 0: it shows everything
}

func (c *cut) Page(ctx context.Context, s connector.Stream, number int, held connector.Fingerprint) (connector.Page,
	error,
) {
	if c.from > 0 && number >= c.from {
		return connector.Page{Number: number, Received: time.Now()}, nil
	}
	return c.flood.Page(ctx, s, number, held)
}

// If a history seems to end too early, its end is checked once more, and what then appears below is delivered late.
func TestHistory_AFalseEnd(t *testing.T) {
	for _, from := range []int{2, 9, 25} {
		t.Run(fmt.Sprint(from), func(t *testing.T) {
			list := &cut{flood: &flood{rng: rand.New(rand.NewPCG(1, 2)), every: 1 << 30, most: 2000}}
			list.add(300)
			stream := connector.Stream{Name: "a", SourceKey: "k"}
			rules := rulesOfWorld
			whole := reader.DefaultRules()
			rules.Checks, rules.CheckOver, rules.BelowEnd = whole.Checks, whole.CheckOver, whole.BelowEnd
			reading := reader.Reading{
				Retry: connectortest.GiveUp{}, Stream: stream, Rules: rules, Events: connector.EventSettings{TypePrefix: "p"},
				Workers: connectortest.SerialWorkers{}, OneWalk: true,
			}
			liveLog, log := &connectortest.Log{T: t}, &connectortest.Log{T: t}
			if _, err := reader.NewSession(list, liveLog, reading, connector.Start{}).Poll(t.Context()); err != nil {
				t.Fatal(err)
			}
			checkpoint, _, _ := liveLog.Peek(t.Context())
			list.from = from
			reading.Stream = connector.HistoryStream(stream)
			history := reader.NewSession(New(list, stream, checkpoint, pageOfWorld), log, reading, connectortest.StartBeginning)
			for rested := 0; rested < 8; {
				out, err := history.Poll(t.Context())
				if err == nil && (history.Reader().AcceptDue() || history.Reader().EndCheckDue()) {
					_, err = history.Sweep(t.Context(), time.Now())
				}
				if err != nil && !reader.LeftUnchanged(err) {
					t.Fatal(err)
				}
				if out.Rested {
					rested++
					list.from = 0
				}
			}
			if history.Reader().EndOpen() || len(log.Events) != 300 {
				t.Errorf("%d events of 300, open: %t", len(log.Events), history.Reader().EndOpen())
			}
		})
	}
}
