package twochattest

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// Kind is a way in which an answer can be wrong.
type Kind string

// The kinds of faults. With those marked (valid) the answer is nevertheless a valid page.
const (
	KindStatus       Kind = "status"        // an error status, Fault.Status, in one of the body shapes
	KindSuccessFalse Kind = "success false" // 200 with success:false
	KindHTML         Kind = "html"          // 200 with a web page
	KindTruncated    Kind = "truncated"     // the connection ends before Content-Length is reached
	// {"success":true,"page_number":N}, no length, Connection: close: decodes without error
	KindLuckyCut        Kind = "lucky cut"
	KindTrailingGarbage Kind = "trailing garbage" // a good page followed by more
	KindOversized       Kind = "oversized"        // a good page padded to Options.OversizedBytes
	KindWrongEcho       Kind = "wrong echo"       // a good page that states the next page's number
	KindNoEcho          Kind = "no echo"          // no page_number in it (valid)
	KindNoSuccess       Kind = "no success"       // no success in it (valid)
	KindNullMessages    Kind = "null messages"    // messages:null
	// the messages of the page before, once, under this page's number (valid, and wrong)
	KindRepeat    Kind = "repeat"
	KindEmptyPage Kind = "empty page" // messages:[] though there are some (valid, and wrong)
	KindShortPage Kind = "short page" // the page's lower part is missing (valid, and wrong)
	KindSlow      Kind = "slow"       // nothing for Fault.Delay, then the page (valid)
	KindStall     Kind = "stall"      // half the page, nothing for Fault.Delay, the rest (valid)
	KindReset     Kind = "reset"      // the connection is reset within the first line of the answer
	KindRedirect  Kind = "redirect"   // 302 to Options.RedirectTo
	KindMissing   Kind = "missing"    // 404 for any page
	KindSwitch    Kind = "switch"     // 101 to another protocol, and then nothing
	KindBehind    Kind = "behind"     // a good page, followed by bytes beyond its length that quote a message (valid)
	KindMarked    Kind = "marked"     // a good page after a byte order mark (valid)
	KindDeep      Kind = "deep"       // a page in which something is nested a hundred thousand levels deep
)

// Kinds lists every kind.
func Kinds() []Kind {
	return []Kind{
		KindStatus, KindSuccessFalse, KindHTML, KindTruncated, KindLuckyCut, KindTrailingGarbage, KindOversized,
		KindWrongEcho, KindNoEcho, KindNoSuccess, KindNullMessages, KindRepeat, KindEmptyPage, KindShortPage, KindSlow,
		KindStall, KindReset, KindRedirect, KindMissing, KindSwitch, KindBehind, KindMarked, KindDeep,
	}
}

// Body is the shape of an error's body (connector/README.md, Error bodies).
type Body string

// The body shapes.
const (
	BodyDetail  Body = "detail"        // {"detail":"…"}, for 422 a list
	BodyError   Body = "error_message" // {"success":false,"error":true,"error_message":"…"}
	BodyMessage Body = "message"       // {"message":"…"}
	BodyHTML    Body = "html"          // a proxy's page
	BodyEmpty   Body = "empty"
)

// Bodies lists the three shapes of the API's own errors.
func Bodies() []Body { return []Body{BodyDetail, BodyError, BodyMessage} }

// Codes lists the error statuses that the API is known to answer with (connector/README.md, Error statuses).
func Codes() []int {
	return []int{400, 401, 402, 403, 404, 406, 409, 410, 422, 429, 486, 503, 504}
}

// Fault is one wrong answer.
type Fault struct {
	Kind   Kind
	Status int  // KindStatus: the status
	Body   Body // KindStatus: the body's shape; BodyDetail if empty
	// RetryAfter is the Retry-After header of a KindStatus, if not 0: whole seconds, or with RetryDate the date in that
	// time.
	RetryAfter time.Duration
	RetryDate  bool
	Delay      time.Duration // KindSlow, KindStall; 2 seconds if 0. The time is real, not Options.Now.
}

// Status is the fault of an error status.
func Status(code int, body Body) Fault { return Fault{Kind: KindStatus, Status: code, Body: body} }

// RateLimited is a 429 with Retry-After in seconds; 0 sends no such header.
func RateLimited(after time.Duration) Fault {
	return Fault{Kind: KindStatus, Status: http.StatusTooManyRequests, RetryAfter: after}
}

func (f Fault) String() string {
	if f.Kind == KindStatus {
		return fmt.Sprintf("status %d (%s)", f.Status, f.Body)
	}
	return string(f.Kind)
}

// whole reports whether the answer is a page that a careful reader has to accept.
func (f Fault) whole() bool {
	switch f.Kind {
	case "", KindNoEcho, KindNoSuccess, KindRepeat, KindEmptyPage, KindShortPage, KindSlow, KindStall, KindBehind,
		KindMarked:
		return true
	}
	return false
}

// Chance is a fault with the rate at which it happens, from 0 to 1.
type Chance struct {
	Fault Fault
	Rate  float64
}

// PassingFaults lists the faults that a reader has to survive by trying again, with the given rate in total: passing
// statuses, broken bodies, resets, glitches. None of them waits.
func PassingFaults(rate float64) []Chance {
	faults := []Fault{
		Status(409, BodyDetail), Status(410, BodyError), Status(486, BodyMessage), Status(500, BodyHTML),
		Status(503, BodyEmpty), Status(504, BodyHTML),
		Status(429, BodyDetail),
		{Kind: KindSuccessFalse},
		{Kind: KindHTML},
		{Kind: KindTruncated},
		{Kind: KindLuckyCut},
		{Kind: KindTrailingGarbage},
		{Kind: KindWrongEcho},
		{Kind: KindNullMessages},
		{Kind: KindEmptyPage},
		{Kind: KindReset},
		{Kind: KindRedirect},
		{Kind: KindNoEcho},
		{Kind: KindNoSuccess},
		{Kind: KindSwitch},
		{Kind: KindBehind},
		{Kind: KindMarked},
		{Kind: KindDeep},
	}
	chances := make([]Chance, len(faults))
	for i, fault := range faults {
		chances[i] = Chance{fault, rate / float64(len(faults))}
	}
	return chances
}

// pick draws a fault, or none.
func pick(chances []Chance, rng *rand.Rand) Fault {
	if len(chances) == 0 {
		return Fault{}
	}
	p := rng.Float64()
	for _, chance := range chances {
		if p -= chance.Rate; p < 0 {
			return chance.Fault
		}
	}
	return Fault{}
}

// writeStatus answers with an error status.
func writeStatus(w http.ResponseWriter, fault Fault, now time.Time) {
	body, mime := "", "application/json"
	switch fault.Body {
	case BodyError:
		body = fmt.Sprintf(`{"success":false,"error":true,"error_message":"status %d"}`, fault.Status)
	case BodyMessage:
		body = fmt.Sprintf(`{"message":"status %d"}`, fault.Status)
	case BodyHTML:
		body, mime = fmt.Sprintf("<html><head><title>%d</title></head><body>status %[1]d</body></html>", fault.Status),
			"text/html"
	case BodyEmpty:
	default:
		switch fault.Status {
		case http.StatusUnauthorized:
			body = `{"detail":"Invalid API Key"}`
		case http.StatusForbidden:
			body = `{"detail":"Not authenticated"}`
		case http.StatusUnprocessableEntity:
			body = `{"detail":[{"loc":["path","number"],"msg":"not a phone number","type":"value_error"}]}`
		default:
			body = fmt.Sprintf(`{"detail":"status %d"}`, fault.Status)
		}
	}
	w.Header().Set("Content-Type", mime)
	switch {
	case fault.RetryAfter > 0 && fault.RetryDate:
		w.Header().Set("Retry-After", now.Add(fault.RetryAfter).UTC().Format(http.TimeFormat))
	case fault.RetryAfter > 0:
		w.Header().Set("Retry-After", strconv.Itoa(int((fault.RetryAfter+time.Second-1)/time.Second)))
	}
	w.WriteHeader(fault.Status)
	fmt.Fprint(w, body)
}
