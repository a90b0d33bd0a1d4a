package connectortest

import (
	"fmt"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Message is the nth message of a chat, one a minute.
func Message(n int) connector.Message {
	uuid := fmt.Sprint("m", n)
	return connector.Message{
		UUID: uuid, Key: connector.MessageKey(uuid), Time: Minute(n), SentBy: "user", Chat: "chat",
		Data: fmt.Appendf(nil, `{"uuid":%q}`, uuid),
	}
}

// Newest makes the messages from high down to low, as a list shows them.
func Newest(high, low int) []connector.Message {
	var rows []connector.Message
	for n := high; n >= low; n-- {
		rows = append(rows, Message(n))
	}
	return rows
}

// Faulty is the nth message as one that cannot become an event: it has no UUID.
func Faulty(n int) connector.Message {
	m := Message(n)
	m.Fault, m.UUID = "no uuid", ""
	return m
}

// At gives a message another time.
func At(m connector.Message, t time.Time) connector.Message {
	m.Time = t
	return m
}

// IDs is the Text of a log that holds these messages in order.
func IDs(from, to int) string {
	var ids []string
	for n := from; n <= to; n++ {
		ids = append(ids, fmt.Sprint("m", n))
	}
	return strings.Join(ids, " ")
}

// Minute is when the nth message was written.
func Minute(n int) time.Time { return time.Date(2026, 1, 1, 0, n, 0, 0, time.UTC) }

// Key is the key of the nth event of a log.
func Key(n uint64) connector.Key { return connector.MessageKey(fmt.Sprint("event ", n)) }

// The starts of a stream.
var (
	StartBeginning = connector.Start{Beginning: true}
	StartNow       = connector.Start{}
)

// Varying is a row without an id whose bytes differ in each answer.
func Varying(n, times int) connector.Message {
	m := Faulty(n)
	m.Data = fmt.Appendf(nil, `{"views":%d}`, times)
	m.Key = connector.ContentKey(m.Data)
	return m
}
