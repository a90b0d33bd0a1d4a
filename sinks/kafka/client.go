package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go/protocol"

	"github.com/twochat-connector/twochat-connector/connector"
)

// client speaks Kafka's protocol with the brokers of a cluster. It has a method for each kind of request, which finds
// the broker to ask, repeats what may be repeated, and turns the error codes in the answers into errors. It does not
// know what a request means for a stream.
type client struct {
	cluster            *cluster
	transactionTimeout time.Duration
}

// producer identifies a writer to the broker. Its epoch fences earlier writers.
type producer struct {
	id    int64
	epoch int16
}

// noProducer asks for a new producer: any other value, including zero, would be taken for a known one.
var noProducer = producer{-1, -1}

// topicPartition is a partition of a topic.
type topicPartition struct {
	topic     string
	partition int32
}

// again repeats a request that only reads: a few times if the connection broke, and for longer while the metadata may
// not yet know a partition's leader. For a new topic that takes milliseconds, after the loss of a broker it takes
// seconds.
func (c *client) again(ctx context.Context, request func(context.Context) error) error {
	broken := 0
	for wait := 5 * time.Millisecond; ; wait *= 2 {
		err := request(ctx)
		switch {
		case err == nil || ctx.Err() != nil:
			return err
		case isLeaderMoved(err) && wait <= maxMovingWait:
			c.cluster.doubt()
		case isBrokenConn(err) && broken < 2:
			broken++
		default:
			return err
		}
		if connector.Sleep(ctx, wait) != nil {
			return err
		}
	}
}

// maxMovingWait is the longest of the pauses, each twice the previous one: eight seconds in total.
const maxMovingWait = 4100 * time.Millisecond

// transactionEnd is the longest time for which an open transaction may hide what was committed above it: brokers look
// every ten seconds for transactions that are too old.
func (c *client) transactionEnd() time.Duration { return c.transactionTimeout + 20*time.Second }

func wrap(operation string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", operation, err)
}

// answerAs returns the answer to a request as what it should be. An answer of another kind is errNoAnswer.
func answerAs[T protocol.Message](answer protocol.Message, err error) (T, error) {
	typed, ok := answer.(T)
	if err == nil && !ok {
		err = errNoAnswer
	}
	return typed, err
}
