package audit

import (
	"context"
	"errors"
	"testing"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// engineOf is an engine with a log of messages 1 to 5, and a list that was read.
func engineOf(t *testing.T) (*Engine, *connectortest.Log, *Listed) {
	t.Helper()
	log := &connectortest.Log{T: t}
	for n := 1; n <= 5; n++ {
		log.Events = append(log.Events, connector.NewEvent(connector.Stream{Name: "a"}, connectortest.Message(n),
			connector.EventSettings{TypePrefix: "p"}, connectortest.Minute(n), uint64(n), false))
	}
	log.Checkpoint = connector.Checkpoint{Started: true, Sequence: 5, Certified: 5}
	list := NewListed(nil, func(connector.Key) bool { return true })
	for _, n := range []int{3, 6, 7, 8} {
		list.kept[connectortest.Message(n).Key] = reader.Missing{Message: connectortest.Message(n)}
	}
	list.kept[connectortest.Message(9).Key] = reader.Missing{}
	c := &config.Config{}
	c.Seen.Capacity = 100
	return &Engine{config: c, logger: cli.QuietLogger(), sink: clitest.LogSink{Of: log, Events: &log.Events}}, log, list
}

func auditedBy(a *Engine) *audited {
	return &audited{
		claim:   connector.Claim{Stream: connector.Stream{Name: "a", SourceKey: "k"}},
		account: &account{Source: pipeline.Source{Config: a.config}},
	}
}

// A repair puts back what the log lacks after it has taken the log over. It adds nothing that is there by then.
func TestEngine_Restore(t *testing.T) {
	a, log, list := engineOf(t)
	one := auditedBy(a)
	got, err := a.restore(t.Context(), one, list, keysOf("3 6 7 9"), nil)
	if err != nil || *got != (Repair{Restored: 2, First: 6, Last: 7, Present: 1, Left: 1}) {
		t.Errorf("%+v, %v", got, err)
	}
	if text := log.Text(); text != "m1 m2 m3 m4 m5 m6* m7*" {
		t.Errorf("the log has %s", text)
	}
	got, err = a.restore(t.Context(), one, list, keysOf("3 6 7"), nil)
	if err != nil || *got != (Repair{Present: 3}) {
		t.Errorf("again: %+v, %v", got, err)
	}
}

// A repair tries an item of the quarantine again if it is now listed as something that can become an event. It does
// not put it into the quarantine a second time.
func TestEngine_RestoreOfWhatIsQuarantined(t *testing.T) {
	a, log, list := engineOf(t)
	log.Answer = func(_ context.Context, events []connector.Event) (bool, error) {
		for i := range events {
			if events[i].ID == "m7" {
				return false, &connector.Rejected{Key: events[i].Key, Reason: "too large"}
			}
		}
		return true, nil
	}
	one := auditedBy(a)
	got, err := a.restore(t.Context(), one, list, keysOf("6"), keysOf("3 7 8 9"))
	if err != nil || *got != (Repair{Restored: 2, First: 6, Last: 7, Refused: 1}) || len(log.Rejects) != 0 {
		t.Errorf("%+v, %v; %d in the quarantine", got, err, len(log.Rejects))
	}
	if text := log.Text(); text != "m1 m2 m3 m4 m5 m6* m8*" {
		t.Errorf("the log has %s", text)
	}
}

// A repair waits for a sink that is down. It ends if another instance takes over or a person has to decide.
func TestEngine_RestoreWaits(t *testing.T) {
	a, log, list := engineOf(t)
	one := auditedBy(a)
	failures := 1
	log.Refuse = func() error {
		if failures--; failures >= 0 {
			return connector.ErrNotNow
		}
		return nil
	}
	if got, err := a.restore(t.Context(), one, list, keysOf("6"), nil); err != nil || got.Restored != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	log.Answer = func(context.Context, []connector.Event) (bool, error) { return false, connector.ErrFenced }
	var with *cli.HintedError
	if _, err := a.restore(t.Context(), one, list, keysOf("7"), nil); !errors.As(err, &with) {
		t.Errorf("fenced: %v", err)
	}
	refusal := &connector.Refusal{Thing: "log", Cause: "no", Hint: "yes"}
	log.Refuse = func() error { return refusal }
	if _, err := a.restore(t.Context(), one, list, keysOf("7"), nil); !errors.Is(err, refusal) {
		t.Errorf("refused: %v", err)
	}
}
