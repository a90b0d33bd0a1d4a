package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/twochat-connector/twochat-connector/connector"
)

// fenced says that the broker refuses this producer for a newer one.
func fenced(err error) bool {
	return errors.Is(err, kafkago.ProducerFenced) || errors.Is(err, kafkago.InvalidProducerEpoch)
}

// answered says that err is the broker's own answer: the request arrived and was refused.
func answered(err error) bool {
	var code kafkago.Error
	return errors.As(err, &code) && code != kafkago.Unknown
}

// passing says that the coordinator refused a request for a reason that passes by itself within moments.
func passing(err error) bool {
	return errors.Is(err, kafkago.ConcurrentTransactions) || errors.Is(err, kafkago.GroupLoadInProgress) ||
		errors.Is(err, kafkago.GroupCoordinatorNotAvailable) || errors.Is(err, kafkago.NotCoordinatorForGroup)
}

// unsent says that err kept a request from being sent at all.
func unsent(err error) bool {
	var dial *net.OpError
	return errors.As(err, &dial) && dial.Op == "dial" || errors.Is(err, protocol.ErrNoTopic) || errors.Is(err, protocol.ErrNoPartition) ||
		errors.Is(err, protocol.ErrNoLeader) || errors.Is(err, kafkago.BrokerNotAvailable)
}

// stale says that a connection broke under a request, as one does that idled while its broker restarted.
func stale(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// moving says that a partition has no leader where it was looked for, which the next metadata will tell, or one that is too new to
// know its end.
func moving(err error) bool {
	for _, code := range []error{
		kafkago.NotLeaderForPartition, kafkago.LeaderNotAvailable, kafkago.OffsetNotAvailable, kafkago.UnknownLeaderEpoch,
		kafkago.FencedLeaderEpoch, kafkago.UnknownTopicOrPartition, kafkago.KafkaStorageError, protocol.ErrNoLeader, protocol.ErrNoPartition, protocol.ErrNoTopic, kafkago.BrokerNotAvailable,
	} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}

// down turns an error that means that Kafka cannot be reached or is not ready into ErrNotNow; only for what wrote nothing.
func down(err error) error {
	if err == nil || errors.Is(err, connector.ErrNotNow) {
		return err
	}
	if unsent(err) || stale(err) || passing(err) || moving(err) {
		return fmt.Errorf("%w: %w", connector.ErrNotNow, err)
	}
	return err
}

// pause waits, unless the context ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
