package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
)

const (
	// directMessages and directBytes limit one answer of a direct get, so that the client can hold it.
	directMessages = 1_000
	directBytes    = 4 << 20

	headerStreamSequence = "Nats-Sequence"
	headerNumPending     = "Nats-Num-Pending"
	statusEnd            = "204" // end of one answer
	statusNothing        = "404"
)

// direct reads the messages under a subject from one stream sequence to another with direct gets (ADR-31): one round
// trip, instead of a consumer's several expensive ones. Any replica may answer. complete is false if a replica ends
// early or does not answer; then the caller has to use a consumer, which waits.
//
// left returns how many messages are left, as far as the caller knows. If a server is asked for one more than there
// are, it searches for it up to the end of the stream, which takes ten times as long as all the rest.
func (k *link) direct(ctx context.Context, stream, filter string, from, to uint64, left func() uint64,
	each func(header natsgo.Header, sequence uint64),
) (complete bool, err error) {
	for from <= to {
		n := int(max(min(left(), directMessages), 1))
		last, pending, err := k.directOnce(ctx, stream, filter, from, n, each)
		switch {
		case ctx.Err() != nil:
			return false, ctx.Err()
		case errors.Is(err, errNoAnswer), errors.Is(err, errNoResponders), errors.Is(err, errOneReply):
			return false, nil // the consumer finds out more
		case err != nil:
			return false, err
		case last >= to:
			return true, nil
		case last < from || pending == 0:
			return false, nil
		}
		from = last + 1
	}
	return true, nil
}

// directOnce makes one direct get and returns the stream sequence of its last message, and how many are left above it.
func (k *link) directOnce(
	ctx context.Context, stream, filter string, from uint64, n int, each func(natsgo.Header, uint64),
) (last uint64, pending int, err error) {
	request, err := json.Marshal(struct {
		From     uint64 `json:"seq"`
		Next     string `json:"next_by_subj"`
		Messages int    `json:"batch"`
		Bytes    int    `json:"max_bytes"`
	}{from, filter, n, directBytes})
	if err != nil {
		return 0, 0, fmt.Errorf("encode request: %w", err)
	}
	life, id := k.life(), nuid.Next()
	subject := k.api + "DIRECT.GET." + stream
	x, done := k.await(id, n+1, func(other string) bool { return other == subject })
	defer done(false)
	if err := k.conn.PublishRequest(subject, k.inbox+id+".1", request); err != nil {
		return 0, 0, errors.Join(errLost, err)
	}
	timer := time.NewTimer(lagWait(k))
	defer timer.Stop()
	for replies := 0; ; replies++ {
		select {
		case m := <-x.answers:
			switch status := m.Header.Get("Status"); status {
			case "":
			case statusEnd:
				pending, err := strconv.Atoi(m.Header.Get(headerNumPending))
				if err != nil {
					return 0, 0, errors.New("direct get: the end of an answer does not say how much is left")
				}
				return last, pending, nil
			case statusNothing:
				return last, 0, nil
			case noResponders:
				return 0, 0, errNoResponders
			default:
				return 0, 0, fmt.Errorf("direct get: status %.3s", status)
			}
			sequence, err := strconv.ParseUint(m.Header.Get(headerStreamSequence), 10, 64)
			if err != nil || sequence <= last {
				return 0, 0, errors.New("direct get: a message without its stream sequence")
			}
			last = sequence
			each(m.Header, sequence)
		case denied := <-x.denied:
			return 0, 0, denied
		case <-ctx.Done():
			return 0, 0, ctx.Err()
		case <-life.Done():
			return 0, 0, errLost
		case <-timer.C:
			if replies == 1 {
				return 0, 0, errOneReply
			}
			return 0, 0, errNoAnswer
		}
	}
}
