package twochat

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"unicode/utf8"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Preview shows the effect of privacy settings on items.
type Preview struct {
	// ExactText is that of the client's Config.
	ExactText bool

	rules  *redactor
	stream connector.Stream
}

// Previewed is one item before and after. It contains customers' texts: show it to the person who asked, and do not log
// it.
type Previewed struct {
	Before json.RawMessage `json:"before"`
	After  json.RawMessage `json:"after,omitempty"`
	// Repaired is true if escapes that represent no character were replaced.
	Repaired bool `json:"repaired,omitempty"`
	// Chat is the token of its chat.
	Chat string `json:"chat,omitempty"`
	// Unknown are the members that were never seen before and are treated as text.
	Unknown []string `json:"unknown,omitempty"`
	// Fault is why the item would go to the quarantine.
	Fault string `json:"fault,omitempty"`
}

// NewPreview returns a preview for a stream's items.
func NewPreview(p Privacy, s connector.Stream) (*Preview, error) {
	rules, err := newRedactor(p)
	if err != nil {
		return nil, err
	}
	return &Preview{rules: rules, stream: s}, nil
}

// Item shows one item.
func (v *Preview) Item(raw []byte) Previewed {
	shown := Previewed{Before: raw}
	s := scanner{data: raw}
	var it item
	if end := s.item(s.space(0), &it, new(membersSeen)); end < 0 || s.space(end) != len(raw) {
		shown.Fault = "it is not JSON"
		shown.Before, _ = json.Marshal(string(raw)) // strings have no errors
		return shown
	}
	data := it.all.of(raw)
	if shown.Fault = it.fault(data, it.usableID(raw)); shown.Fault != "" {
		if !utf8.Valid(raw) {
			shown.Before, _ = json.Marshal(string(raw))
		}
		return shown
	}
	shown.Chat = v.rules.chat(v.stream.SourceKey, it.chat(raw))
	if it.halves && !v.ExactText {
		data, shown.Repaired = repair(data)
	}
	shown.After = data
	if v.rules.rewrites {
		shown.After = v.rules.rewriteWith(nil, data, func(name []byte) {
			if !slices.Contains(shown.Unknown, string(name)) {
				shown.Unknown = append(shown.Unknown, string(name))
			}
		}, v.stream.Number, v.stream.Remote)
	}
	return shown
}

// Items returns the items in a document: a page of the API, a list of items, or items one after the other.
func Items(document []byte) ([]json.RawMessage, error) {
	document = unmarked(document)
	var page struct {
		Messages []json.RawMessage `json:"messages"`
	}
	if json.Unmarshal(document, &page) == nil && page.Messages != nil {
		return page.Messages, nil
	}
	var items []json.RawMessage
	if json.Unmarshal(document, &items) == nil {
		return items, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(document))
	for decoder.More() {
		var one json.RawMessage
		if decoder.Decode(&one) != nil {
			return nil, errors.New("this is neither a page nor a list of items nor lines of them: it is cut off or not JSON")
		}
		items = append(items, one)
	}
	return items, nil
}

// UnknownMembers counts the unknown members of items, if the privacy settings look at members at all.
func (c *Client) UnknownMembers() uint64 { return c.privacy.unknown.Load() }
