package connector

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Pages reads the message lists of 2Chat.
type Pages interface {
	// Page reads one page of a stream; page 0 holds the newest messages. It makes one attempt, with a time limit, and no
	// retries.
	//
	// held is the fingerprint of the page 0 that the caller has already processed, or "". If the page is still the same,
	// Page may return it with Unchanged set, the same Fingerprint and no messages.
	//
	// Every error other than the context's is, or wraps, a *PageError. A returned page is valid (rule 10 of
	// connector/README.md): a bad item in it is a Message with its Fault set, never an error. Page has to be safe for
	// concurrent use, except that page 0 of a stream is not read concurrently.
	Page(ctx context.Context, s Stream, number int, held Fingerprint) (Page, error)
}

// Fingerprint identifies the bytes of a page's messages; equal fingerprints mean equal pages.
type Fingerprint string

// Page is one response of the API: a slice of the list at one instant, newest message first.
type Page struct {
	Number   int
	Messages []Message
	// Missing means that the API answered 404 beyond page 0, which may mean the end of the list. The page is empty.
	Missing bool
	// Unchanged means that the page has the fingerprint held by the caller; Messages is nil.
	Unchanged   bool
	Fingerprint Fingerprint
	// Received is when the page was read.
	Received time.Time
	// Bytes is the decompressed size of the messages in bytes.
	Bytes int
}

// Message is one item of a page, ready to become an event.
type Message struct {
	// UUID is the item's uuid, or else its id: 1 to 128 characters of printable ASCII without blanks. It is empty if the
	// item has none, which sets Fault.
	UUID string
	// Key is MessageKey of UUID, or ContentKey of the item if it has no usable uuid.
	Key Key
	// Time is the message's own time in UTC; zero if the item has none that can be parsed. It is only a hint: no rule
	// relies on it.
	Time time.Time
	// SentBy is the sender according to the API: user, api or agent; empty unless it is up to 64 plain characters.
	SentBy string
	// Chat is the chat's token: 26 characters, or up to 128 if identifiers are not hashed.
	Chat string
	// Data is the data of the event: the item byte for byte, except for repairs and what the privacy settings remove, or a
	// row made from it. For a message with a Fault it is the item's raw bytes.
	Data []byte
	// ItemAt is the offset in a row at which its last value begins, the item as a JSON string; 0 if Data is the item.
	ItemAt int
	// Fault is why the item cannot become an event; it quotes nothing of the item. Empty for a good message.
	Fault string
	// Repaired means that escapes in the item that represent no character were replaced by U+FFFD.
	Repaired bool
	// Withheld means that the privacy settings forbid keeping the item in a quarantine.
	Withheld bool
	// Empty means that the item is listed without its content, which the API may add later under the same UUID.
	Empty bool

	PositionKey Key // of a message without a UUID: its key by its place on the page; set by the reader
}

// Item returns the item as the event would carry it if it carried no row.
func (m *Message) Item() []byte {
	if m.ItemAt == 0 {
		return m.Data
	}
	var item string
	if json.Unmarshal(m.Data[m.ItemAt:len(m.Data)-1], &item) != nil {
		return m.Data // not reached for the rows of package twochat
	}
	return []byte(item)
}

// PageFault is a kind of failure to read a page. The kinds differ in the reaction that they call for
// (connector/README.md, Error statuses).
type PageFault string

// The kinds of page faults. None of them changes any state.
const (
	// FaultTransient: time-outs, resets, 409, 410, 486, 5xx. Try again with back-off.
	FaultTransient PageFault = "transient"
	// FaultInvalid: an answer that is not a valid page (HTML, truncated, success false, wrong page number). Try again with
	// back-off.
	FaultInvalid PageFault = "invalid"
	// FaultRateLimited: 429. Try again after RetryAfter, or else with back-off. poller/retry.go waits; page_retry.go
	// decides how long.
	FaultRateLimited PageFault = "rate_limited"
	// FaultCredits: 402, the credits are used up or the trial is over. Pause for minutes; it ends with new credits or the
	// next month.
	FaultCredits PageFault = "credits"
	// FaultKey: 401 or 403, the key is wrong or missing. Try again slowly, as the key may be replaced.
	FaultKey PageFault = "key"
	// FaultBlocked: 401, 402 or 403 with a text that the account is blocked. Try again slowly, as 2Chat may lift it.
	FaultBlocked PageFault = "blocked"
	// FaultNumber: 404 on page 0, the number is not (or no longer) connected to this account. Try again slowly.
	FaultNumber PageFault = "number"
	// FaultRequest: 400, 406, 422, redirects. A configuration error or a bug; try again slowly.
	FaultRequest PageFault = "request"
)

// MaxRetryAfter is the longest wait that is accepted from a server.
const MaxRetryAfter = time.Hour

// PageError is why a page could not be read. Its text contains no phone numbers, keys or customers' texts.
type PageError struct {
	Fault PageFault
	// Status is the HTTP status, or 0 if there was no answer.
	Status int
	// RetryAfter is how long the server asked to wait, or 0.
	RetryAfter time.Duration
	// Err is the cause, free of personal data.
	Err error
	// Hint is what to do about this cause; empty if the hint for the kind of fault fits.
	Hint string
}

func (e *PageError) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("%s (HTTP %d): %v", e.Fault, e.Status, e.Err)
	}
	return fmt.Sprintf("%s: %v", e.Fault, e.Err)
}

// Unwrap returns the cause.
func (e *PageError) Unwrap() error { return e.Err }

// NeedsPerson reports whether only a person can fix the fault.
func (f PageFault) NeedsPerson() bool {
	return f == FaultCredits || f == FaultKey || f == FaultBlocked || f == FaultNumber || f == FaultRequest
}
