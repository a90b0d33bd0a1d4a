package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Which faults end a backfill, and what is said of those that do not.
func TestPaidPages_Hold(t *testing.T) {
	for _, row := range []struct {
		fault connector.PageFault
		times int
		word  string
		fatal bool
	}{
		{connector.FaultTransient, 1, "", false}, // in passing
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
			if got := pages.hold(); got != (hold{}) {
				t.Errorf("after %s, when a page could be read: %+v", row.fault, got)
			}
		})
	}
}

// Where live polling is kept back, the backfill says that it gives way, until that is over.
func TestPaidPages_GiveWay(t *testing.T) {
	for fault, word := range map[connector.PageFault]string{connector.FaultRateLimited: heldByLimit, connector.FaultCredits: heldByCredits} {
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
			if got := pages.hold(); got != (hold{}) {
				t.Errorf("afterwards: %+v", got)
			}
		})
	}
}
