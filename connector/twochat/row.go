package twochat

import (
	"bytes"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// The columns of a row, in their order. They must never change, as users' tables are built from them.
const (
	columnUUID = iota
	columnDirection
	columnSentBy
	columnKind
	columnText
	columnMediaURL
	columnMediaMIME
	columnChannel
	columnRemote
	columnParticipant
	columnGroup
	columnQuotedUUID
	columnOccurredAt
	columnRecordedAt
	columnItem
	columnCount
)

// Column is a member of a row: a string, or null where the message has none.
type Column struct {
	Name string
	// Always means that it is never null.
	Always bool
	Doc    string
}

var columns = [columnCount]Column{
	columnUUID:        {"uuid", true, "the message's id, as the attribute id"},
	columnDirection:   {"direction", true, "received, sent or new, as the last part of the attribute type"},
	columnSentBy:      {"sent_by", false, "who sent it, as the attribute sentby: user, api, agent, or another word"},
	columnKind:        {"kind", true, "its kind; words may be added for kinds that were unknown before"},
	columnText:        {"text", false, "what was written: a text, a caption, the title of what was chosen, a question"},
	columnMediaURL:    {"media_url", false, "where its file is"},
	columnMediaMIME:   {"media_mime", false, "the media type of its file"},
	columnChannel:     {"channel", false, "the business's own number"},
	columnRemote:      {"remote", false, "the number or id of the chat's other side; of a group, the group's id"},
	columnParticipant: {"participant", false, "who wrote it in a group"},
	columnGroup:       {"group", false, "if the chat is a group, the group's id: as in remote, else its own uuid"},
	columnQuotedUUID:  {"quoted_uuid", false, "the id of the message that it quotes"},
	columnOccurredAt:  {"occurred_at", false, "the message's own time, as the attribute time: RFC 3339, UTC"},
	columnRecordedAt:  {"recorded_at", true, "when the connector read it, as the attribute recordedtime: RFC 3339, UTC"},
	columnItem:        {"item", true, "the API's item, as events.data: item has it, as one JSON string"},
}

// Columns returns the columns of a row, in their order.
func Columns() []Column { return append([]Column(nil), columns[:]...) }

// row holds a message's values for the columns: JSON strings, or nothing if a column is null.
type row [columnCount][]byte

// toRows makes rows the data of good messages. items are those of a page that was read at that time. It returns how
// many bytes all data has then. It is called after everything else that changes an item, so that a row shows the same
// as its item.
func toRows(messages []connector.Message, items []item, body []byte, read time.Time) (size int) {
	recorded := quoted(connector.FormatTime(read))
	for i := range messages {
		m := &messages[i]
		if m.Fault == "" {
			m.Data, m.ItemAt = makeRow(m, recorded, items[i].ofGroup(body))
		}
		size += len(m.Data)
	}
	return size
}

// ofGroup reports whether an item is from a group chat. It has to be called before the ids are replaced by pseudonyms.
func (it *item) ofGroup(body []byte) bool {
	for _, place := range [...]span{it.remote, it.session} {
		if bytes.HasSuffix(stringAt(body, place), []byte("@g.us")) {
			return true
		}
	}
	return false
}

// makeRow returns the row of a good message, and the offset of the item in it. recorded is a JSON string; group means
// that it is a group chat.
func makeRow(m *connector.Message, recorded []byte, group bool) (data []byte, itemAt int) {
	var r row
	reader := rowReader{json: scanner{data: m.Data}, row: &r}
	reader.item(group)
	r[columnUUID] = quoted(m.UUID)
	r[columnDirection] = quoted(connector.Direction(m.SentBy))
	if m.SentBy != "" {
		r[columnSentBy] = quoted(m.SentBy)
	}
	if !m.Time.IsZero() {
		r[columnOccurredAt] = quoted(connector.FormatTime(m.Time))
	}
	r[columnRecordedAt] = recorded
	return r.appendJSON(m.Data)
}

// appendJSON appends the row with its item, which is the last column, and returns the offset of the item.
func (r *row) appendJSON(item []byte) (dst []byte, itemAt int) {
	size := len(item) + len(item)/4 + 64
	for i := range columns {
		size += len(columns[i].Name) + len(r[i]) + len(`"":null,`)
	}
	dst = make([]byte, 0, size)
	for i := range columns {
		separator := byte(',')
		if i == 0 {
			separator = '{'
		}
		dst = append(dst, separator, '"')
		dst = append(append(dst, columns[i].Name...), `":`...)
		switch {
		case i == columnItem:
			itemAt = len(dst)
			dst = appendItem(dst, item)
		case r[i] == nil:
			dst = append(dst, "null"...)
		default:
			dst = append(dst, r[i]...)
		}
	}
	return append(dst, '}'), itemAt
}

// appendItem writes a valid item as a JSON string. The only control characters in a valid item are white space between
// its tokens.
func appendItem(dst, item []byte) []byte {
	dst = append(dst, '"')
	copied := 0
	for i, c := range item {
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(append(dst, item[copied:i]...), '\\')
		copied = i + 1
		switch c {
		case '\n':
			c = 'n'
		case '\r':
			c = 'r'
		case '\t':
			c = 't'
		}
		dst = append(dst, c)
	}
	return append(append(dst, item[copied:]...), '"')
}
