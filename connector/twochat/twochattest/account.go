package twochattest

import (
	"encoding/json"
	"net/http"
	"time"
)

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

// Requests is how many calls were made so far, of whatever kind and outcome.
func (f *Fake) Requests() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests
}

// PageRequests is how many pages of a number's lists were asked for so far.
func (f *Fake) PageRequests(number string) int {
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

// Consume uses credits as another integration with the same key would.
func (f *Fake) Consume(calls int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.used += calls
}

// SetCredits changes how many calls the account has: a top-up, or its end.
func (f *Fake) SetCredits(calls int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.credits = calls
}

// SetKey changes the accepted API key, as a rotation does.
func (f *Fake) SetKey(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.key = key
}
