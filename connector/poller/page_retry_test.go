package poller

import (
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// The first wait depends on the kind of fault, and is no shorter than the server asks for, up to a bound.
func TestPageRetry(t *testing.T) {
	const soon = 500 * time.Millisecond
	for name, test := range map[string]struct {
		fault       connector.PageError
		least, most time.Duration
	}{
		"passing":    {connector.PageError{Fault: connector.FaultTransient}, soon / 2, 3 * soon / 2},
		"invalid":    {connector.PageError{Fault: connector.FaultInvalid}, soon / 2, 3 * soon / 2},
		"a person":   {connector.PageError{Fault: connector.FaultKey, Status: 401}, 15 * time.Second, 45 * time.Second},
		"no key":     {connector.PageError{Fault: connector.FaultKey}, soon / 2, 3 * soon / 2},
		"no credits": {connector.PageError{Fault: connector.FaultCredits}, 150 * time.Second, 450 * time.Second},
		"asked to wait": {
			connector.PageError{Fault: connector.FaultRateLimited, RetryAfter: time.Minute},
			time.Minute, time.Minute,
		},
		"asked for a day": {
			connector.PageError{Fault: connector.FaultRateLimited, RetryAfter: 24 * time.Hour},
			time.Hour, time.Hour,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := NewPageRetry()
			for failures := range 3 {
				wait, n := r.Next(&test.fault)
				if n != failures+1 || failures == 0 && (wait < test.least || wait > test.most) {
					t.Errorf("fault %d: a wait of %v, %d in a row", failures+1, wait, n)
				}
			}
			r.Read()
			if wait, n := r.Next(&test.fault); n != 1 || wait < test.least || wait > test.most {
				t.Errorf("after a page that was read: a wait of %v, %d in a row", wait, n)
			}
		})
	}
}
