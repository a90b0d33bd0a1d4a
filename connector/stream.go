package connector

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Stream is one message list of 2Chat: a connected number, or a connected number with one remote number. It is the unit
// of reading, ordering, memory, checkpoint and ownership.
type Stream struct {
	// Name identifies the stream everywhere: in event sources, subjects, metrics and logs. It must never change.
	Name string
	// Number is the connected number, E.164 with its plus sign.
	Number string
	// Remote restricts the list to one remote number; empty for all of them.
	Remote string
	// SourceKey identifies the list itself, whatever its name (see SourceKey).
	SourceKey string
	// FormerKey is the source key that other privacy modes and earlier versions used for the same list, so that their
	// checkpoints are recognised; empty if it equals SourceKey.
	FormerKey string
}

// HasSourceKey reports whether a source key is one of the stream's list, in its current or former form.
func (s Stream) HasSourceKey(sourceKey string) bool {
	return sourceKey == s.SourceKey || s.FormerKey != "" && sourceKey == s.FormerKey
}

// Source is the `source` attribute of the stream's events.
func (s Stream) Source() string { return "//2chat.co/whatsapp/" + s.Name }

// SourceKey identifies a message list: 128 bits, in hex, of a hash over the API's base URL and the list's numbers. Two
// streams with the same key would write the same messages twice.
func SourceKey(baseURL, number, remote string) string {
	sum := sha256.Sum256([]byte(strings.TrimRight(baseURL, "/") + "\n" + number + "\n" + remote))
	return hex.EncodeToString(sum[:16])
}

// HistoryStream returns the stream for the messages that a live stream's first start left out: the same list under
// another name. Its source key differs, as the two streams hold different messages of the list.
func HistoryStream(live Stream) Stream {
	s := live
	s.Name += "-history"
	s.SourceKey = SourceKey(live.SourceKey, "history", "")
	if live.FormerKey != "" {
		s.FormerKey = SourceKey(live.FormerKey, "history", "")
	}
	return s
}
