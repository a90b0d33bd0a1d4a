package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// Listed is what the list shows, as a log in memory that the connector's own Reader delivers into: each message once,
// in the order of the list. It holds about 60 bytes for each message, and the content of those that the sink's log
// lacks.
type Listed struct {
	rows  []record // oldest first
	late  []record // came in below others while the list was read, so their place is unknown
	unfit []unfit  // items that cannot become events

	// removed tells which part of the sink has a chat's events, and whether that part has lost its oldest; nil for sinks
	// that lose the oldest of all parts together.
	removed func(chat string) (part int, removed bool)
	lacking func(connector.Key) bool         // reports whether to keep a message's content
	kept    map[connector.Key]reader.Missing // all that the log lacks; without a message if there was no room for it
	held    int                              // bytes in kept
	most    int

	settings   string // those with which it is read, as a checkpoint names them
	checkpoint connector.Checkpoint
	decoder    *decoder
	text       []byte
}

// unfit is an item that cannot become an event.
type unfit struct {
	key    connector.Key
	reason string
}

// mostKept limits the memory for missing messages in a repair. If there are more, several runs are needed.
const mostKept = 64 << 20

// NewListed makes a list that begins right above a floor; without a floor, where the Reader's start says.
func NewListed(floor connector.Keys, lacking func(connector.Key) bool) *Listed {
	return &Listed{
		lacking: lacking, kept: make(map[connector.Key]reader.Missing), most: mostKept, decoder: newDecoder(),
		checkpoint: connector.Checkpoint{Started: len(floor) > 0, Floor: floor},
	}
}

// Acquire implements connector.Log: nobody else uses this one.
func (l *Listed) Acquire(context.Context) (connector.State, error) {
	l.checkpoint.Version, l.checkpoint.Epoch = connector.CheckpointVersion, l.checkpoint.Epoch+1
	return connector.State{Checkpoint: l.checkpoint}, nil
}

// Commit implements connector.Log.
func (l *Listed) Commit(
	_ context.Context, events []connector.Event, rejects []connector.Reject, next connector.Checkpoint,
) error {
	for i := range events {
		e := &events[i]
		l.text = e.AppendJSON(l.text[:0]) // as the sink would store it
		r, err := l.decoder.decode(l.text)
		if err != nil {
			return err
		}
		if l.removed != nil {
			part, removed := l.removed(e.Chat)
			r.part, r.removed = int32(part), removed
		}
		if e.Late {
			l.late = append(l.late, r)
		} else {
			l.rows = append(l.rows, r)
		}
		l.keep(e)
	}
	for i := range rejects {
		l.unfit = append(l.unfit, unfit{rejects[i].Key, rejects[i].Reason})
	}
	l.checkpoint = next
	return nil
}

// keep holds the content of a message that the log lacks.
func (l *Listed) keep(e *connector.Event) {
	if !l.lacking(e.Key) {
		return
	}
	if l.held+len(e.Data) > l.most {
		l.kept[e.Key] = reader.Missing{}
		return
	}
	l.held += len(e.Data)
	l.kept[e.Key] = reader.Missing{Received: e.Recorded, Message: connector.Message{
		UUID: e.ID, Key: e.Key, Time: e.Time, SentBy: e.SentBy, Chat: e.Chat, Data: append([]byte(nil), e.Data...),
		Repaired: e.Repaired,
	}}
}

// Peek implements connector.Log.
func (l *Listed) Peek(context.Context) (connector.Checkpoint, bool, error) {
	return l.checkpoint, true, nil
}

// Limits implements connector.Log.
func (l *Listed) Limits() connector.Limits { return connector.Limits{Messages: 1000, Bytes: 16 << 20} }

// Close implements connector.Log.
func (l *Listed) Close() error { return nil }

// digest is a SHA-256, in hex, over the key and digest of each message, oldest first.
func (l *Listed) digest() string {
	sum := sha256.New()
	for i := range l.rows {
		sum.Write(l.rows[i].key[:])
		sum.Write(l.rows[i].digest[:])
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// timeOf is the time of a record's message; zero if it has none.
func timeOf(r *record) time.Time {
	if r.time == 0 {
		return time.Time{}
	}
	return time.Unix(r.time, 0).UTC()
}
