package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/admin"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/connector/poller"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// The page says that all is well only if no stream waits for anything, as the command status does.
func TestStatusPage_SaysWhatIsWaitedFor(t *testing.T) {
	for state, want := range map[poller.StreamState]string{
		poller.StateLive: "All is well", poller.StateNoSink: "Ready, but waiting for something",
	} {
		var s pipeline.StreamReport
		s.Stream, s.State, s.Since = "shop", state, time.Now()
		if state != poller.StateLive {
			s.Cause = "the broker is down"
		}
		var page strings.Builder
		if err := admin.WritePage(&page, pipeline.Report{
			Now: time.Now(), Started: time.Now(), Ready: true,
			Healthy: true, Streams: []pipeline.StreamReport{s},
		}, ""); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(page.String(), want) || !strings.Contains(page.String(), s.Cause) {
			t.Errorf("%s: the page does not say %q", state, want)
		}
	}
}

// What is only to be looked at stands in the headline of the page and of the command.
func TestStatus_SaysWhatIsToBeLookedAt(t *testing.T) {
	r := nightlyReports()["notices"]
	var shown, printed strings.Builder
	if err := errors.Join(admin.WritePage(&shown, r, ""), printReport(&printed, r, false)); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"page": shown.String(), "command": unfolded(printed.String())} {
		if !strings.Contains(text, "12 s ago; 2 things to look at: ") ||
			strings.Contains(strings.ToLower(text), "all is well") {
			t.Errorf("the %s does not say what is to be looked at: %s", name, text)
		}
	}
}

// The page and the command show how far held messages are delivered.
func TestStatus_SaysHowFarHeldMessagesAreDelivered(t *testing.T) {
	page := 15
	for want, accepting := range map[string]*reader.AcceptProgress{
		"from the end of the list upward: none so far": {},
		"4,500 so far, complete up to page 15":         {Delivered: 4_500, Page: &page},
	} {
		var s pipeline.StreamReport
		s.Stream, s.State, s.Since, s.Accepting = "shop", poller.StateLive, time.Now(), accepting
		r := pipeline.Report{
			Now: time.Now(), Started: time.Now(), Ready: true, Healthy: true,
			Streams: []pipeline.StreamReport{s},
		}
		r.Sink.Checked = true
		var shown, printed strings.Builder
		if err := errors.Join(admin.WritePage(&shown, r, ""), printReport(&printed, r, false)); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{shown.String(), unfolded(printed.String())} {
			if !strings.Contains(text, want) || !strings.Contains(text, "--accept-history") {
				t.Errorf("it does not say %q: %s", want, text)
			}
		}
	}
}
