package twochattest

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// account is what the fake knows about its customer: the key, the credits, the rate limit. mu is the Fake's.
type account struct {
	mu                *sync.Mutex
	key               string
	used, credits     int
	enforceRate       bool
	requestsPerMinute int
	recent            []time.Time // of the last minute, if the rate is enforced
}

// refuse returns the fault for a request that gets no page, or none.
func (a *account) refuse(r *http.Request, isMessages bool, now time.Time) Fault {
	if a.enforceRate {
		for len(a.recent) > 0 && now.Sub(a.recent[0]) >= time.Minute {
			a.recent = a.recent[1:]
		}
		a.recent = append(a.recent, now)
		if len(a.recent) > a.requestsPerMinute {
			return Status(http.StatusTooManyRequests, BodyDetail)
		}
	}
	switch key := r.Header.Get("X-User-API-Key"); {
	case key == "":
		return Status(http.StatusForbidden, BodyDetail)
	case a.key != "" && key != a.key:
		return Status(http.StatusUnauthorized, BodyDetail)
	case isMessages && a.used > a.credits:
		return Status(http.StatusPaymentRequired, BodyError)
	}
	return Fault{}
}

// serveInfo answers GET /open/info.
func (f *Fake) serveInfo(w http.ResponseWriter, r *http.Request, now time.Time) {
	f.mu.Lock()
	var fault Fault
	if len(f.nextInfo) > 0 {
		fault, f.nextInfo = f.nextInfo[0], f.nextInfo[1:]
	}
	used, credits := f.used, f.credits
	f.mu.Unlock()
	switch fault.Kind {
	case "":
	case KindStatus:
		writeStatus(w, fault, now)
		return
	default:
		f.answer(w, r, view{fault: fault})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{
		"success": true,
		"account": map[string]any{
			"name": "Fictive Bicycles", "uuid": "ACC00000000-0000-4000-8000-000000000000", "on_trial": false, "blocked": false,
			"created_at": "2022-04-21T21:55:37Z", "expires_at": now.AddDate(1, 0, 0).UTC().Format(time.RFC3339),
		},
		"limits": map[string]any{"requests_per_minute": f.options.RequestsPerMinute},
		"usage": map[string]any{
			"api_request_count": used, "max_api_request_count": credits,
			"number_check_count": 0, "max_number_check_count": 500000,
		},
	})
}

// Requests is how many calls were made so far, of any kind and outcome.
func (f *Fake) Requests() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests
}

// PageRequests is how many pages of a number's lists were requested so far.
func (f *lists) PageRequests(number string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.number(number).requests
}

// Faults is how often each fault happened so far, by its String.
func (f *Fake) Faults() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make(map[string]int, len(f.faultsHit))
	for name, count := range f.faultsHit {
		out[name] = count
	}
	return out
}

// Consume uses up credits as another integration with the same key would.
func (a *account) Consume(calls int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.used += calls
}

// SetCredits changes how many calls the account has, as by a top-up or when it ends.
func (a *account) SetCredits(calls int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.credits = calls
}

// SetKey changes the accepted API key, as a rotation does.
func (a *account) SetKey(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.key = key
}
