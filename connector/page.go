package connector

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Pages reads the message lists of 2Chat.
type Pages interface {
	// Page reads one page of a stream: number 0 holds the newest messages. It makes one bounded attempt and no retries.
	//
	// held is the fingerprint of the page 0 that the caller already worked through, or "". Where the list still answers
	// with that very page, Page may return with Unchanged set, the same Fingerprint and no messages.
	//
	// Every error but the context's own is, or wraps, a *PageError. A page that is returned is valid (rule 10
	// of connector/README.md): a bad item in it is a Message with its Fault set, never an error.
	// Page is called from several goroutines, for one stream too where it is about pages beyond page 0.
	Page(ctx context.Context, s Stream, number int, held Fingerprint) (Page, error)
}

// Fingerprint identifies the bytes of a page's messages; equal fingerprints mean equal pages.
type Fingerprint string

// Page is one response of the list: one instant's slice of it, newest message first.
type Page struct {
	Number   int
	Messages []Message
	// Missing says that the list answered 404 beyond page 0, which may be its way to say that it ended. The page is empty.
	Missing bool
	// Unchanged says that the page is the one whose fingerprint the caller held; Messages is nil.
	Unchanged   bool
	Fingerprint Fingerprint
	// Received is when the page was read.
	Received time.Time
	// Bytes is the size of the messages, decompressed.
	Bytes int
}

// Message is one item of a page, ready to become an event.
type Message struct {
	// UUID is the item's uuid, else its id: 1 to 128 characters of printable ASCII without blanks. Empty where Fault is
	// set and the item has none.
	UUID string
	// Key is MessageKey of UUID, or ContentKey of the item where it has no usable uuid.
	Key Key
	// Time is the message's own time in UTC; zero where it gives none that can be read. It is a hint, never a rule.
	Time time.Time
	// SentBy is who sent it, as the API says: user, api, agent; empty where it does not say so in up to 64 plain
	// characters.
	SentBy string
	// Chat is the chat's token: 26 characters, or up to 128 where identifiers are in clear.
	Chat string
	// Data is the item as the event carries it: byte for byte, except for what was repaired and what the privacy settings
	// take away, or a row that is made of it. For a message with a Fault it is the item's raw bytes.
	Data []byte
	// ItemAt is where in Data a row begins to hold its item, as a JSON string that is its last value; 0: Data is the item.
	ItemAt int
	// Repaired says that U+FFFD took the place of escapes in the item that stand for no character.
	Repaired bool
	// Fault says why the item cannot become an event, without quoting it; empty for a good message.
	Fault string
	// Withheld says that, as the privacy settings ask, nothing of what the item holds may be kept in a quarantine.
	Withheld bool
	// Empty says that the item is listed without its content, which the API may fill in later under the same UUID.
	Empty bool

	Place Key // of a message without a UUID, where the reader has learned it
}

// Item is the item as the event would carry it where it carries no row.
func (m *Message) Item() []byte {
	if m.ItemAt == 0 {
		return m.Data
	}
	var item string
	if json.Unmarshal(m.Data[m.ItemAt:len(m.Data)-1], &item) != nil {
		return m.Data // whoever made the row made it so
	}
	return []byte(item)
}

// PageFault says what kind of failure kept a page from being read, by the reaction it asks for (connector/README.md,
// Error statuses).
type PageFault string

// The kinds of page faults. Every one of them changes nothing: no checkpoint, no memory.
const (
	// FaultTransient: time-outs, resets, 409, 410, 486, 5xx. Try again with back-off.
	FaultTransient PageFault = "transient"
	// FaultInvalid: an answer that is no valid page (HTML, truncated, success false, wrong echo). Try again with back-off.
	FaultInvalid PageFault = "invalid"
	// FaultRateLimited: 429. Try again after RetryAfter, else with back-off.
	FaultRateLimited PageFault = "rate_limited"
	// FaultCredits: 402, the credits are used up or the trial is over. Pause for minutes; heals alone.
	FaultCredits PageFault = "credits"
	// FaultKey: 401 or 403, the key is wrong or missing. Probe slowly; a rotated key heals it.
	FaultKey PageFault = "key"
	// FaultBlocked: 401, 402 or 403 of an account that 2Chat says is blocked. Probe slowly; 2Chat lifts it.
	FaultBlocked PageFault = "blocked"
	// FaultNumber: 404 on page 0, the number is not (or no longer) connected to this account. Probe slowly.
	FaultNumber PageFault = "number"
	// FaultRequest: 400, 406, 422, redirects. A configuration error or a bug; probe slowly.
	FaultRequest PageFault = "request"
)

// MaxRetryAfter is the longest wait that a server may ask for.
const MaxRetryAfter = time.Hour

// PageError is why a page could not be read. Its text names neither numbers nor keys nor anything a customer wrote.
type PageError struct {
	Fault PageFault
	// Status is the HTTP status, 0 where there was no answer.
	Status int
	// RetryAfter is how long the server asked to wait; 0 where it did not ask.
	RetryAfter time.Duration
	// Err is the cause, free of personal data.
	Err error
	// Hint is what to do about this cause; empty where it is what the kind of fault asks for.
	Hint string
}

func (e *PageError) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("%s (HTTP %d): %v", e.Fault, e.Status, e.Err)
	}
	return fmt.Sprintf("%s: %v", e.Fault, e.Err)
}

// Unwrap gives the cause.
func (e *PageError) Unwrap() error { return e.Err }

// Personal reports whether only a person can fix a fault.
func (f PageFault) Personal() bool {
	return f == FaultCredits || f == FaultKey || f == FaultBlocked || f == FaultNumber || f == FaultRequest
}
