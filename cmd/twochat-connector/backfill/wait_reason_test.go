package backfill

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/poller"
)

// Which faults end a backfill, and what is printed about the others.
func TestPaidPages_Hold(t *testing.T) {
	for _, row := range []struct {
		fault connector.PageFault
		times int
		word  string
		fatal bool
	}{
		{connector.FaultTransient, 1, "", false}, // transient
		{connector.FaultTransient, 2, heldByAPI, false},
		{connector.FaultInvalid, 1, heldByAPI, false},
		{connector.FaultRateLimited, 1, heldByLimit, false},
		{connector.FaultCredits, 1, heldByCredits, false},
		{connector.FaultKey, 1, heldByAPI, true},
		{connector.FaultNumber, 1, heldByAPI, true},
		{connector.FaultRequest, 1, heldByAPI, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			list := &troubled{pages: 1, trouble: func(call int, _ time.Time) error {
				if call > row.times {
					return nil
				}
				return faultOf(row.fault, 0, 0)
			}}
			pages := newPaidPages(list)
			for range row.times {
				_, _ = pages.Page(t.Context(), connector.Stream{}, 0, "")
			}
			if got := pages.hold(); got.word != row.word || row.word != "" && !strings.Contains(got.cause, string(row.fault)) {
				t.Errorf("%d times %s: %+v", row.times, row.fault, got)
			}
			if fatal := pages.fatal(); (fatal != nil) != row.fatal {
				t.Errorf("%s: %v", row.fault, fatal)
			}
			_, _ = pages.Page(t.Context(), connector.Stream{}, 0, "")
			if got := pages.hold(); got != (waitReason{}) {
				t.Errorf("after %s, when a page could be read: %+v", row.fault, got)
			}
		})
	}
}

// If live polling is held back, the backfill says that it gives way until that is over.
func TestPaidPages_GiveWay(t *testing.T) {
	for fault, word := range map[connector.PageFault]string{
		connector.FaultRateLimited: heldByLimit,
		connector.FaultCredits:     heldByCredits,
	} {
		synctest.Test(t, func(t *testing.T) {
			pages := newPaidPages(&troubled{pages: 1})
			pages.giveWay(fault, throttledPause)
			if got := pages.hold(); got.word != word || !strings.Contains(got.cause, "live polling") {
				t.Errorf("%s: %+v", fault, got)
			}
			began := time.Now()
			_, _ = pages.Page(t.Context(), connector.Stream{}, 0, "")
			if took := time.Since(began); took != throttledPause {
				t.Errorf("a page after %v", took)
			}
			if got := pages.hold(); got != (waitReason{}) {
				t.Errorf("afterwards: %+v", got)
			}
		})
	}
}

// slowly answers the first call last, with success. Meanwhile the second call fails.
type slowly struct{ list *troubled }

func (s slowly) Page(ctx context.Context, stream connector.Stream, number int, held connector.Fingerprint) (
	connector.Page, error,
) {
	if number == 0 {
		time.Sleep(time.Minute)
		return connector.Page{}, nil
	}
	return s.list.Page(ctx, stream, number, held)
}

// A page that was requested in parallel before a fault does not end the hold when its answer comes after the fault.
func TestPaidPages_HoldOutlastsCallsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pages := newPaidPages(slowly{&troubled{pages: 2, trouble: first(1, faultOf(connector.FaultCredits, 402, 0))}})
		pages.pages.(slowly).list.calls = 2 // the next call is the first that fails
		var reading sync.WaitGroup
		reading.Go(func() { _, _ = pages.Page(t.Context(), connector.Stream{}, 0, "") })
		synctest.Wait()
		_, _ = pages.Page(t.Context(), connector.Stream{}, 1, "")
		reading.Wait()
		if got := pages.hold(); got.word != heldByCredits {
			t.Errorf("%+v after a call that was made before the fault", got)
		}
		_, _ = pages.Page(t.Context(), connector.Stream{}, 1, "")
		if got := pages.hold(); got != (waitReason{}) {
			t.Errorf("%+v after a call that was made since", got)
		}
	})
}

// The hold's reason comes from the stream's status if the pages themselves give none.
func TestHeldIn(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	no := func(state poller.StreamState, cause string, ago time.Duration) poller.Status {
		return poller.Status{State: state, Cause: cause, LastRequest: now.Add(-ago)}
	}
	for _, row := range []struct {
		status poller.Status
		held   string
		want   string
	}{
		{no(poller.StateCatchingUp, "", time.Hour), "", ""},
		{no(poller.StateCatchingUp, "", time.Hour), heldByLimit, heldByLimit},
		{no(poller.StateNoSource, "credits (HTTP 402): spent", time.Second), "", ""}, // pages are read again
		{no(poller.StateNoSource, "credits (HTTP 402): spent", time.Hour), "", heldByCredits},
		{no(poller.StateNoSource, "rate_limited (HTTP 429): too many", time.Hour), "", heldByLimit},
		{no(poller.StateNoSource, "transient: no answer", time.Hour), "", heldByAPI},
		{
			poller.Status{State: poller.StateNoSource, Cause: "rate_limited: a pause", Fault: connector.FaultRateLimited},
			"",
			heldByLimit,
		},
		{no(poller.StateNoSink, "full", 0), "", heldBySink},
		{no(poller.StateRefused, "no right", 0), "", heldBySink},
		{no(poller.StateAcquiring, "", 0), "", ""},
		{no(poller.StateAcquiring, "unclear", 0), "", heldBySink},
		{no(poller.StateStalled, "moved", 0), "", heldByBursts},
	} {
		if got := heldIn(row.status, waitReason{word: row.held}, now); got.word != row.want {
			t.Errorf("%s, %q, held by %q: %q, want %q", row.status.State, row.status.Cause, row.held, got.word, row.want)
		}
	}
}
