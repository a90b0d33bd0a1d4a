package audit

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

	"github.com/twochat-connector/twochat-connector/connector"
)

// held is a source of pages that waits, until it is told otherwise.
type held struct{ word string }

func (held) Calls() int                       { return 7 }
func (h held) Waits() (word, cause string)    { return h.word, "HTTP 503" }
func loggerTo(out *bytes.Buffer) *slog.Logger { return slog.New(slog.NewTextHandler(out, nil)) }

// What is waited for is said at once, in the midst of a page, and then once a minute; how far it is, every ten seconds.
func TestTeller(t *testing.T) {
	for word, want := range map[string]string{
		"waits for 2Chat": "[1s 1m1s 2m1s] audit waits",
		"":                "[10s 20s 30s 40s 50s 1m0s 1m10s 1m20s 1m30s 1m40s 1m50s 2m0s 2m10s] messages=120 calls=7",
	} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			began := time.Now()
			teller := &teller{spare: held{word}, logger: loggerTo(&out), stream: "a"}
			teller.messages.Store(120)
			ctx, cancel := context.WithTimeout(t.Context(), 130*time.Second+time.Millisecond)
			defer cancel()
			stop := teller.start(ctx)
			<-ctx.Done()
			stop()
			var at []time.Duration
			for line := range strings.Lines(out.String()) {
				var when string
				if _, err := fmt.Sscanf(line, "time=%s", &when); err != nil {
					t.Fatal(err)
				}
				told, err := time.Parse(time.RFC3339Nano, when)
				if err != nil {
					t.Fatal(err)
				}
				at = append(at, told.Sub(began))
			}
			times, text, _ := strings.Cut(want, "] ")
			if fmt.Sprint(at) != times+"]" || !strings.Contains(out.String(), text) {
				t.Errorf("told at %v, want %s:\n%s", at, want, out.String())
			}
		})
	}
}

// A commit that is unclear once is not told of: the next attempt knows what to wait for, and that is.
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
			waits := &sinkRetry{logger: loggerTo(&out), pause: connector.NewBackoff(time.Second, time.Second)}
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
