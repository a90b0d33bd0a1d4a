package audit

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// held is a source of pages that waits for the reason in word.
type held struct{ word string }

func (held) Calls() int                       { return 7 }
func (h held) Waits() (word, cause string)    { return h.word, "HTTP 503" }
func loggerTo(out *bytes.Buffer) *slog.Logger { return slog.New(slog.NewTextHandler(out, nil)) }

// The reason for a wait is printed at once, also in the middle of a page, and then once a minute. The progress is
// printed every ten seconds.
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
