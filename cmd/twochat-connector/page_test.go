package main

import (
	"strings"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// The page says that all is well only where no stream waits for anything, as the command status does.
func TestStatusPage_SaysWhatIsWaitedFor(t *testing.T) {
	for state, want := range map[connector.StreamState]string{
		connector.StateLive: "All streams are as they should be", connector.StateNoSink: "Ready, but something is waited for",
	} {
		var s streamReport
		s.Stream, s.State, s.Since = "shop", state, time.Now()
		if state != connector.StateLive {
			s.Cause = "the broker is down"
		}
		var page strings.Builder
		if err := statusPage.Execute(&page, report{Now: time.Now(), Started: time.Now(), Ready: true, Healthy: true, Streams: []streamReport{s}}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(page.String(), want) || !strings.Contains(page.String(), s.Cause) {
			t.Errorf("%s: the page does not say %q", state, want)
		}
	}
}
