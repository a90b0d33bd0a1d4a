package restore

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
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
