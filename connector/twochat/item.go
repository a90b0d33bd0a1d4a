package twochat

import (
	"time"
	"unicode/utf8"

	"github.com/twochat-connector/twochat-connector/connector"
)

const (
	// MaxItem is the largest size of an item, in bytes.
	MaxItem = 1 << 20
	// maxID and maxSentBy bound what becomes an attribute of the event.
	maxID     = 128
	maxSentBy = 64
)

// Faults of items. They go into the quarantine as reasons.
const (
	faultNoJSON   = "the item is not JSON"
	faultNoObject = "the item is not a JSON object"
	faultNoID     = "the item has no uuid or id of 1 to 128 plain characters"
	faultUTF8     = "the item holds invalid UTF-8"
	faultTooLarge = "the item is larger than 1 MiB"
	faultTooDeep  = "the item is nested deeper than 100 levels"
)

// item holds the positions in the body of those members of a message that are needed.
type item struct {
	all                     span
	uuid, id                span
	timestamp, created      span
	sentBy, session, remote span
	message                 span
	object                  bool
	ascii                   bool // it is pure ASCII
	deep                    bool // it is nested deeper than maxDepth
	halves                  bool // it may hold escapes that need repair
	idLength                int  // of its id as it is written into the event
	members                 memberSet
}

// item scans one element of the messages, and records in seen what differs from the known members.
func (s *scanner) item(i int, it *item, seen *membersSeen) int {
	around := s.deep
	s.high, s.deep, s.halves = 0, false, false
	var end int
	if it.object = i < len(s.data) && s.data[i] == '{'; it.object {
		end = s.object(i, 0, func(key span, value int) int {
			place, m := it.place(unquote(key.of(s.data)))
			end := 0
			if m == memberMessage && value < len(s.data) && s.data[value] == '{' {
				end = seen.message(s, value)
			} else {
				end = s.value(value, 1)
			}
			if place != nil {
				*place = span{int32(value), int32(end)}
			}
			if end < 0 {
				return end
			}
			found := typeOf[s.data[value]]
			if found != typeNull {
				it.members |= 1 << m
			}
			if found&memberTypes[m] == 0 {
				seen.see(s.data, inItem, key, value, memberTypes[m])
			}
			return end
		})
	} else {
		end = s.value(i, 0)
	}
	it.all = span{int32(i), int32(end)}
	it.ascii, it.deep, s.deep = s.high&topBits == 0, s.deep, around
	it.halves = s.halves
	return end
}

// place returns which known member a name is, and where its value is kept, or nil.
func (it *item) place(name []byte) (*span, member) {
	switch string(name) {
	case "uuid":
		return &it.uuid, memberUUID
	case "id":
		return &it.id, memberID
	case "timestamp":
		return &it.timestamp, memberTimestamp
	case "created_at":
		return &it.created, memberCreatedAt
	case "sent_by":
		return &it.sentBy, memberSentBy
	case "session_key":
		return &it.session, memberSessionKey
	case "message":
		return &it.message, memberMessage
	case "remote_phone_number":
		return &it.remote, memberRemote
	case "channel_phone_number":
		return nil, memberChannelNumber
	case "_2chat_link":
		return nil, memberLink
	case "participant":
		return nil, memberParticipant
	case "group":
		return nil, memberGroup
	case "contact":
		return nil, memberContact
	case "channel":
		return nil, memberChannel
	case "event", "to_number", "wa_msg_id":
		return nil, memberText
	case "sent", "is_from_api", "is_from_agent", "is_from_chatter", "is_from_flow_run":
		return nil, memberFlag
	case "wa_msg_ack":
		return nil, memberAck
	}
	return nil, memberOthers
}

// messages makes messages from the items of a body. Their data points into the body and keeps it in memory.
func (c *Client) messages(s connector.Stream, body []byte, work *scratch) []connector.Message {
	if len(work.items) == 0 {
		return nil
	}
	out := make([]connector.Message, len(work.items))
	var numbers []string
	var page *pageCache
	if c.privacy.rewrites {
		page = &pageCache{make(map[string]string), make(map[string]role)}
	}
	if c.privacy.pseudonymous() {
		numbers = []string{s.Number, s.Remote}
	}
	// All ids are parts of one string, as a page's messages are freed together.
	text := work.text[:0]
	for i := range work.items {
		it := &work.items[i]
		m := &out[i]
		m.Data = it.all.of(body)
		id := it.usableID(body)
		if c.privacy.pseudonymous() && opaque(id) < len(id) {
			id = c.privacy.id(id, m.Data, numbers)
		}
		it.idLength = len(id)
		text = append(text, id...)
		m.Fault = it.fault(m.Data, id)
	}
	work.text = text
	ids := string(text)
	var lastChat []byte
	var lastToken string
	for i := range work.items {
		it := &work.items[i]
		m := &out[i]
		m.UUID, ids = ids[:it.idLength], ids[it.idLength:]
		if it.idLength > 0 {
			m.Key = connector.MessageKey(m.UUID)
		} else {
			m.Key = connector.ContentKey(m.Data)
		}
		m.Time = it.time(body)
		m.Empty = m.Fault == "" && it.empty(body)
		m.SentBy = c.privacy.sender(stringAt(body, it.sentBy))
		chat := it.chat(body)
		if lastToken == "" || string(chat) != string(lastChat) {
			lastChat, lastToken = chat, c.privacy.chat(s.SourceKey, chat)
		}
		m.Chat = lastToken
		// Only the privacy settings are applied after this: the key, the chat and the quarantine use the item as received.
		if it.halves && m.Fault == "" && !c.exactText {
			m.Data, m.Repaired = repair(m.Data)
		}
		if m.Withheld = c.privacy.rewrites; m.Withheld && m.Fault == "" {
			m.Data = c.privacy.rewriteWith(page, m.Data, nil, numbers...)
		}
	}
	return out
}

// usableID returns the item's uuid, else its id, else nil.
func (it *item) usableID(body []byte) []byte {
	for _, place := range [...]span{it.uuid, it.id} {
		if id := stringAt(body, place); len(id) > 0 && len(id) <= maxID && plain(id) {
			return id
		}
	}
	return nil
}

// fault returns why the item cannot become an event, or "".
func (it *item) fault(data, id []byte) string {
	switch {
	case !it.object:
		return faultNoObject
	case len(data) > MaxItem:
		return faultTooLarge
	case it.deep:
		return faultTooDeep
	case !it.ascii && !utf8.Valid(data):
		return faultUTF8
	case len(id) == 0:
		return faultNoID
	}
	return ""
}

// chat returns what identifies the item's chat: the session key, else the remote number, else "none".
func (it *item) chat(body []byte) []byte {
	for _, place := range [...]span{it.session, it.remote} {
		if chat := stringAt(body, place); len(chat) > 0 {
			return chat
		}
	}
	return []byte("none")
}

// time returns the item's own time: created_at, else timestamp, else zero.
func (it *item) time(body []byte) time.Time {
	for _, place := range [...]span{it.created, it.timestamp} {
		if !place.found() {
			continue
		}
		if at, ok := parseTime(place.of(body)); ok {
			return at
		}
	}
	return time.Time{}
}

// sender returns who sent a message, if that is up to 64 plain characters. The usual ones are not allocated.
func sender(by []byte) string {
	switch string(by) {
	case "user":
		return "user"
	case "api":
		return "api"
	case "agent":
		return "agent"
	}
	if len(by) > maxSentBy || !plain(by) {
		return ""
	}
	return string(by)
}

// plain reports whether text is printable ASCII without blanks.
func plain(text []byte) bool {
	for _, c := range text {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}
