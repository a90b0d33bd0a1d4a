package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// client speaks Kafka's protocol with the brokers of a cluster: it has a method for each kind of request, which finds
// the broker to ask, asks again what may be asked again, and makes errors of the codes in the answers. What a request
// means to a stream is not its concern.
type client struct {
	cluster            *cluster
	transactionTimeout time.Duration
}

// producer identifies a writer to the broker. Its epoch fences earlier writers.
type producer struct {
	id    int64
	epoch int16
}

// noProducer asks for a new producer: anything else, zero included, would be taken for a known one.
var noProducer = producer{-1, -1}

// topicPartition is a partition of a topic.
type topicPartition struct {
	topic     string
	partition int32
}

// again repeats a request that only reads: a few times where the connection broke, and for longer while the metadata
// may not yet know a partition's leader. It learns the leader within milliseconds for a topic that was just made, and
// within seconds where a broker went away.
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

// maxMovingWait is the longest of the pauses, each twice the one before: eight seconds in all.
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
