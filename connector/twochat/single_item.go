package twochat

import (
	"bytes"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Item makes a message of a single item, as Page does with each item of a page received at that time. It makes no call,
// and keeps nothing of raw.
func (c *Client) Item(s connector.Stream, raw []byte, received time.Time) connector.Message {
	body := bytes.Clone(raw)
	scan := scanner{data: body}
	var it item
	if end := scan.item(scan.space(0), &it, new(membersSeen)); end < 0 || scan.space(end) != len(body) {
		return connector.Message{Key: connector.ContentKey(body), Data: body, Fault: faultNoJSON}
	}
	work := &scratch{items: []item{it}}
	messages := c.messages(s, body, work)
	if c.rows {
		toRows(messages, work.items, body, received)
	}
	return messages[0]
}
