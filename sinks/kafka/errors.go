package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	kafkago "github.com/segmentio/kafka-go"

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

// severalErrors are errors of several brokers, in one line.
type severalErrors []error

func (e severalErrors) Error() string {
	texts := make([]string, len(e))
	for i, err := range e {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (e severalErrors) Unwrap() []error { return e }

// unsent says that err kept a request from being sent at all.
func unsent(err error) bool {
	var connect *connectError
	var broken *brokenError
	var unasked *unaskedError
	return errors.As(err, &unasked) || errors.Is(err, kafkago.BrokerNotAvailable) || errors.As(err, &connect) && !errors.As(err, &broken)
}

// moving says that a partition has no leader where it was looked for, which the next metadata will tell, or one that is too new to
// know its end.
func moving(err error) bool {
	for _, code := range []error{
		kafkago.NotLeaderForPartition, kafkago.LeaderNotAvailable, kafkago.OffsetNotAvailable, kafkago.UnknownLeaderEpoch,
		kafkago.FencedLeaderEpoch, kafkago.UnknownTopicOrPartition, kafkago.KafkaStorageError, kafkago.BrokerNotAvailable,
		kafkago.ReplicaNotAvailable, kafkago.NetworkException,
	} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}

// down turns an error that means that Kafka cannot be reached or is not ready into ErrNotNow; only for what wrote nothing. What a
// person has to mend stays what it is.
func down(err error) error {
	var connect *connectError
	var broken *brokenError
	var refusal *connector.Refusal
	if err == nil || errors.Is(err, connector.ErrNotNow) || errors.As(err, &refusal) {
		return err
	}
	if unsent(err) || passing(err) || moving(err) || isTimeout(err) || errors.As(err, &connect) || errors.As(err, &broken) ||
		errors.Is(err, errFewAnswer) || errors.Is(err, errBehind) || errors.Is(err, errMoved) || errors.Is(err, errSurpassed) || isTransient(err) {
		return fmt.Errorf("%w: %w", connector.ErrNotNow, err)
	}
	return err
}

// isTransient says that a broker refused something for a reason that is its own, and passes.
func isTransient(err error) bool {
	for _, code := range []error{
		kafkago.RequestTimedOut, kafkago.NotEnoughReplicas, kafkago.NotEnoughReplicasAfterAppend, kafkago.NotController,
		kafkago.Unknown, kafkago.ThrottlingQuotaExceeded, kafkago.TransactionCoordinatorFenced,
	} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}

// errMoved says that a partition got another leader while it was read: what was read may be what the former one had.
var errMoved = errors.New("a partition changed its leader while it was read")

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
