package twochat

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Chat picks the events and rejects of one chat of a stream, however the chat is named: by its token, as in `subject`;
// by its session key or its WhatsApp id; or by the remote number, in any spelling that has the country code.
type Chat struct {
	rules     *redactor
	sourceKey string
	said      string
	// digits are those of the phone number, and id the WhatsApp id of a group or of somebody without a number; at most one
	// is there. Contents is how the data of events may name either, in clear or as a pseudonym.
	digits   string
	id       string
	contents string
	also     string              // what the token that was said is made of, if an event tells; else ""
	tokens   map[string]struct{} // of the chat in `subject`, as far as they are known
}

// tokenForm is the form of the whole or of the beginning of a token that is a hash, of which outputs show eight
// characters, or of one in clear, which has at least one encoded character.
var tokenForm = regexp.MustCompile(`^([a-z2-7]{8,26}|[A-Za-z0-9_-]*(=[0-9A-F]{2}[A-Za-z0-9_-]*)+)$`)

// IsToken reports whether a text names a chat by its token or by the beginning of one.
func IsToken(said string) bool { return tokenForm.MatchString(said) && numberIn([]byte(said)) == "" }

// ChatToken returns the token of an event's chat, and what it is made of, as far as the event's data shows that: under a
// pseudonym key it does not, and madeOf is "".
func ChatToken(event []byte) (token, madeOf string) {
	var e chatEvent
	if json.Unmarshal(event, &e) != nil {
		return "", ""
	}
	of, ok := membersOf(e.Data)
	if madeOf = of.Session; madeOf == "" {
		madeOf = of.Remote
	}
	if !ok || !strings.ContainsAny(madeOf, "@+") && numberIn([]byte(madeOf)) == "" {
		return e.Subject, ""
	}
	return e.Subject, madeOf
}

// Also adds what the chat's token is made of, with which it has its tokens under other keys.
func (c *Chat) Also(madeOf string) {
	c.also = madeOf
	c.tokens[c.rules.chat(c.sourceKey, []byte(madeOf))] = struct{}{}
}

// ByTokenAlone reports whether the chat was named by its token, and nothing tells what that is made of: then it has no
// known token under other keys.
func (c *Chat) ByTokenAlone() bool { return c.also == "" && IsToken(c.said) }

// NewChat returns the chat of a stream that somebody named.
func NewChat(privacy Privacy, stream connector.Stream, said string) (*Chat, error) {
	rules, err := newRedactor(privacy)
	if err != nil {
		return nil, err
	}
	c := &Chat{rules: rules, sourceKey: stream.SourceKey, said: said, tokens: make(map[string]struct{})}
	c.tokens[said], c.tokens[rules.chat(stream.SourceKey, []byte(said))] = struct{}{}, struct{}{}
	c.digits = numberIn([]byte(said))
	if c.digits != "" {
		c.contents = rules.pseudonym([]byte(c.digits))
	} else if namesID(said) {
		c.id = said
		c.contents = rules.pseudonym([]byte(said))
	}
	return c, nil
}

// wholeGroup is how many digits the id of a group has at least, unless it names who made it: 120363…@g.us, or
// 5215512345432-1600000001@g.us. Less is the end of such an id, which several groups may have.
const wholeGroup = 15

// namesID reports whether a text is the whole WhatsApp id of a chat, and not a session key, which ends with one.
func namesID(said string) bool {
	user, domain, ok := strings.Cut(said, "@")
	if !ok || strings.Contains(user, "-WPN") {
		return false
	}
	return domain != "g.us" || len(user) >= wholeGroup
}

// AddFormerKey adds the chat's token under a former key of its stream. It reports false where that cannot be computed:
// with a pseudonym key that is not configured any more.
func (c *Chat) AddFormerKey(key connector.FormerKey) bool {
	former := c.rules
	switch mode := Identifiers(key.Privacy); {
	case mode == IdentifiersHashed, mode == IdentifiersClear:
		former = &redactor{mode: mode}
	case key.Privacy != (Privacy{Identifiers: c.rules.mode, Secret: c.rules.secret}).Name():
		return false
	}
	for _, madeOf := range []string{c.said, c.also} {
		if madeOf != "" {
			c.tokens[former.chat(key.SourceKey, []byte(madeOf))] = struct{}{}
		}
	}
	return true
}

// numberIn returns the digits of a text that is a person's number, or the WhatsApp id of one; else "".
func numberIn(said []byte) string {
	if user, suffix, ok := bytes.Cut(said, []byte("@")); ok {
		if !personSuffix(suffix) {
			return ""
		}
		said = user
	}
	var room [keptDigits]byte
	digits := onlyNumber(said, room[:])
	if trimmed := bytes.TrimPrefix(digits, []byte("00")); len(trimmed) >= fewestDigits {
		digits = trimmed
	}
	if len(digits) < fewestOwn {
		return ""
	}
	return string(digits)
}

// chatMembers are the members of an item that identify its chat.
type chatMembers struct {
	Session     string          `json:"session_key"`
	Remote      string          `json:"remote_phone_number"`
	Participant json.RawMessage `json:"participant"`
	Group       json.RawMessage `json:"group"`
	Item        string          `json:"item"` // of a row: the item itself
}

// chatEvent is the part of an event that identifies its chat.
type chatEvent struct {
	Subject string          `json:"subject"`
	Data    json.RawMessage `json:"data"`
}

// ByContents reports whether the chat has to be searched for in the contents of events, as their tokens cannot be
// computed from a number or a WhatsApp id.
func (c *Chat) ByContents() bool { return c.digits != "" || c.id != "" }

// Learn looks at an event for the token of the chat. It has to be called with all events before the first call of Event
// or Reject.
func (c *Chat) Learn(event []byte) {
	var e chatEvent
	if !c.ByContents() || json.Unmarshal(event, &e) != nil || e.Subject == "" {
		return
	}
	if _, known := c.tokens[e.Subject]; known {
		return
	}
	if of, ok := membersOf(e.Data); ok && c.names(of) {
		c.tokens[e.Subject] = struct{}{}
	}
}

// membersOf are those of an event's data, which is an item or a row.
func membersOf(data []byte) (of chatMembers, ok bool) {
	if json.Unmarshal(data, &of) != nil {
		return of, false
	}
	if of.Item != "" && of.Session == "" {
		return of, json.Unmarshal([]byte(of.Item), &of) == nil
	}
	return of, true
}

// names reports whether members name the chat of the number or of the id. The chat of a group belongs to no number,
// whoever wrote in it.
func (c *Chat) names(of chatMembers) bool {
	switch {
	case c.id != "":
		return strings.HasSuffix(of.Session, "-"+c.id) || of.Remote == c.id || of.Remote == c.contents
	case given(of.Participant) || given(of.Group):
		return false
	case c.inSession(of.Session):
		return true
	case of.Session != "" && bytes.HasSuffix([]byte(of.Session), []byte("@g.us")):
		return false
	}
	return of.Remote == c.contents || numberIn([]byte(of.Remote)) == c.digits
}

func given(raw json.RawMessage) bool {
	text := string(raw)
	return text != "" && text != "null" && text != `""` && text != "{}"
}

// inSession reports whether a session key ends with the number: it is a channel's id, a dash and the chat's id.
func (c *Chat) inSession(session string) bool {
	at := bytes.LastIndexByte([]byte(session), '-')
	return at > 0 && numberIn([]byte(session[at+1:])) == c.digits
}

// Tokens is how many of the chat's tokens are known.
func (c *Chat) Tokens() int { return len(c.tokens) }

// Event reports whether an event, in structured mode, is of the chat.
func (c *Chat) Event(event []byte) bool {
	var e chatEvent
	if json.Unmarshal(event, &e) != nil {
		return false
	}
	_, ours := c.tokens[e.Subject]
	return ours
}

// Members of an item that may be invalid JSON or cut off.
var (
	sessionMember = regexp.MustCompile(`"session_key"\s*:\s*"([^"\\]{1,512})"`)
	remoteMember  = regexp.MustCompile(`"remote_phone_number"\s*:\s*"([^"\\]{1,512})"`)
)

// Reject reports whether a record of the quarantine holds an item of the chat, as far as the item was kept. An item
// that names no chat counts as this one's if it contains the number or the text by which the chat was named.
func (c *Chat) Reject(record []byte) bool {
	var r struct {
		Data struct {
			Raw []byte `json:"raw"`
		} `json:"data"`
	}
	if json.Unmarshal(record, &r) != nil || len(r.Data.Raw) == 0 {
		return false
	}
	raw := r.Data.Raw
	var of chatMembers
	if json.Unmarshal(raw, &of) != nil {
		of = chatMembers{}
		if m := sessionMember.FindSubmatch(raw); m != nil {
			of.Session = string(m[1])
		}
		if m := remoteMember.FindSubmatch(raw); m != nil {
			of.Remote = string(m[1])
		}
	}
	for _, chat := range []string{of.Session, of.Remote} {
		if chat == "" {
			continue
		}
		if _, ours := c.tokens[c.rules.chat(c.sourceKey, []byte(chat))]; ours {
			return true
		}
	}
	if c.ByContents() && c.names(of) {
		return true
	}
	return of.Session == "" && of.Remote == "" && c.within(raw)
}

// within reports whether bytes contain the number, with no digit next to it, or the text by which the chat was named.
func (c *Chat) within(raw []byte) bool {
	text := c.digits
	if text == "" {
		text = c.said
	}
	for from := 0; ; {
		at := bytes.Index(raw[from:], []byte(text))
		if at < 0 {
			return false
		}
		at += from
		end := at + len(text)
		if c.digits == "" || (at == 0 || !isDigit(raw[at-1])) && (end == len(raw) || !isDigit(raw[end])) {
			return true
		}
		from = at + 1
	}
}
