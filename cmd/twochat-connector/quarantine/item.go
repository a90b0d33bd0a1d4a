// Package quarantine reads the messages that could not become events, and delivers those that can become events now.
package quarantine

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
)

// Item is one item of the quarantine.
type Item struct {
	ID     string `json:"id"`
	Stream string `json:"stream"`
	// RenamedTo is the stream's present name, if it was renamed since.
	RenamedTo string    `json:"renamed_to,omitempty"`
	Recorded  time.Time `json:"recorded"`
	Reason    string    `json:"reason"`
	Length    int       `json:"length"`
	SHA256    string    `json:"sha256"`
	// Kept is how many of its bytes are in the quarantine: the first ones, or none if the privacy settings forbid it.
	Kept int    `json:"kept"`
	Raw  []byte `json:"item,omitempty"` // base64 in JSON
}

// idPrefix begins the id of each reject; the token of the message's key follows.
const idPrefix = "reject-"

// Parse reads a record of the quarantine. ours is false if this connector did not write it.
func Parse(reject []byte) (item Item, ours bool) {
	var e struct {
		ID, Source string
		Time       time.Time
		Data       struct {
			Reason string
			Length int
			SHA256 string
			Raw    []byte
		}
	}
	if json.Unmarshal(reject, &e) != nil {
		return Item{}, false
	}
	stream, ours := strings.CutPrefix(e.Source, connector.Stream{}.Source())
	return Item{
		ID: e.ID, Stream: stream, Recorded: e.Time, Reason: e.Data.Reason, Length: e.Data.Length, SHA256: e.Data.SHA256,
		Kept: len(e.Data.Raw), Raw: e.Data.Raw,
	}, ours && strings.HasPrefix(e.ID, idPrefix)
}

// whole reports whether all bytes of the item are there, unchanged.
func (i *Item) whole() bool {
	sum := sha256.Sum256(i.Raw)
	return i.Kept == i.Length && hex.EncodeToString(sum[:]) == i.SHA256
}

// Way is what can deliver an item.
type Way int

// The ways: a replay tries what is all kept; a repair by audit reads the rest from 2Chat again; nothing delivers what is
// larger than an event may be.
const (
	ByReplay Way = iota
	ByRepair
	NoWay
)

// Way is what can deliver the item, if it can become an event.
func (i *Item) Way() Way {
	switch {
	case i.Length > twochat.MaxItem:
		return NoWay
	case i.Kept < i.Length:
		return ByRepair
	}
	return ByReplay
}

// token is the token of the key under which the message was known.
func (i *Item) token() string { return strings.TrimPrefix(i.ID, idPrefix) }
