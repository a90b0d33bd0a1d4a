package restore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// A commit that is unclear once is not logged: the next attempt knows what it waits for, and that is logged.
func TestSinkRetry(t *testing.T) {
	unclear := errors.New("commit: unclear: JetStream error 10201")
	known := &connector.Unavailable{Thing: "JetStream stream", Cause: "it remembers ids", Hint: "wait"}
	for name, c := range map[string]struct {
		causes []error
		lines  int
		not    string
	}{
		"unclear, then known": {[]error{unclear, known, known}, 1, "10201"},
		"unclear for long":    {[]error{unclear, unclear, unclear}, 1, "remembers"},
		"known":               {[]error{known}, 1, "10201"},
		"down":                {[]error{connector.ErrNotNow}, 1, "10201"},
		"in passing":          {[]error{unclear}, 0, "10201"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			logger := slog.New(slog.NewTextHandler(&out, nil))
			waits := &sinkRetry{logger: logger, pause: connector.NewBackoff(time.Second, time.Second)}
			for _, cause := range c.causes {
				if err := waits.Commit(t.Context(), cause); err != nil {
					t.Error(err)
				}
			}
			if strings.Count(out.String(), "\n") != c.lines || strings.Contains(out.String(), c.not) {
				t.Errorf("%s: it told\n%s", name, out.String())
			}
		})
	}
}

// fencedLog is a log that has to be waited for, and that another instance takes over meanwhile.
type fencedLog struct {
	*connectortest.Log
	waits []error // one for each commit
}

func (l *fencedLog) Commit(
	ctx context.Context, events []connector.Event, rejects []connector.Reject, next connector.Checkpoint,
) error {
	if len(l.waits) > 0 {
		err := l.waits[0]
		l.waits = l.waits[1:]
		return err
	}
	return fmt.Errorf("commit: %w", connector.ErrFenced)
}

// Who reads that another instance took the stream over during a repair also reads what the repair waited for then.
func TestRestorer_Fenced(t *testing.T) {
	remembers := &connector.Unavailable{Thing: "JetStream stream", Cause: "it remembers ids", Hint: "wait"}
	for want, waits := range map[string][]error{
		"during the repair, which waited: JetStream stream: it remembers ids": {remembers, remembers},
		"during the repair": nil,
	} {
		synctest.Test(t, func(t *testing.T) {
			log := &fencedLog{&connectortest.Log{T: t, Checkpoint: connector.Checkpoint{Started: true}}, waits}
			c := &config.Config{}
			c.Seen.Capacity = 100
			r := &Restorer{
				Config: c, Sink: clitest.LogSink{Of: log}, Word: "repair", Logger: slog.New(slog.DiscardHandler),
			}
			claim := connector.Claim{Stream: connector.Stream{Name: "a", SourceKey: "k"}}
			_, err := r.Run(t.Context(), claim, func() ([]reader.Missing, error) {
				return []reader.Missing{{Message: connectortest.Message(1)}}, nil
			})
			if err == nil || !strings.HasSuffix(err.Error(), want) {
				t.Errorf("got %v, want … %s", err, want)
			}
		})
	}
}

// overtakenLog is a log that another instance takes over at its first commits.
type overtakenLog struct {
	*connectortest.Log
	times int
}

func (l *overtakenLog) Commit(
	ctx context.Context, events []connector.Event, rejects []connector.Reject, next connector.Checkpoint,
) error {
	if l.times > 0 {
		l.times--
		return fmt.Errorf("commit: %w", connector.ErrFenced)
	}
	return l.Log.Commit(ctx, events, rejects, next)
}

// A command that takes over from a running instance does so again if the instance went on while it waited, but not for
// ever; and a command that takes over from nobody gives way at once.
func TestRestorer_TakesOverAgain(t *testing.T) {
	for _, c := range []struct {
		beside bool
		times  int
		done   bool
		looked int
	}{{true, 3, true, 4}, {true, 50, false, maxTakeOvers}, {false, 1, false, 1}} {
		synctest.Test(t, func(t *testing.T) {
			log := &overtakenLog{&connectortest.Log{T: t, Checkpoint: connector.Checkpoint{Started: true}}, c.times}
			of := &config.Config{}
			of.Seen.Capacity = 100
			r := &Restorer{
				Config: of, Sink: clitest.LogSink{Of: log}, Word: "repair", Logger: slog.New(slog.DiscardHandler),
				Beside: c.beside,
			}
			claim := connector.Claim{Stream: connector.Stream{Name: "a", SourceKey: "k"}}
			looked := 0
			done, err := r.Run(t.Context(), claim, func() ([]reader.Missing, error) {
				looked++
				return []reader.Missing{{Message: connectortest.Message(1)}}, nil
			})
			if (err == nil) != c.done || (done.Delivered == 1) != c.done || looked != c.looked {
				t.Errorf("beside %v, overtaken %d times: %+v after %d looks, %v", c.beside, c.times, done, looked, err)
			}
		})
	}
}
