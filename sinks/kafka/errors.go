package kafka

import (
	"errors"
	"fmt"
	"strings"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/twochat-connector/twochat-connector/connector"
)

// isFenced reports whether the broker refuses this producer because there is a newer one.
func isFenced(err error) bool {
	return errors.Is(err, kafkago.ProducerFenced) || errors.Is(err, kafkago.InvalidProducerEpoch)
}

// isAnswered reports whether err is the broker's own answer: the request arrived and was refused.
func isAnswered(err error) bool {
	var code kafkago.Error
	return errors.As(err, &code) && code != kafkago.Unknown
}

// isRetriable reports whether the coordinator refused a request for a reason that passes by itself within moments.
func isRetriable(err error) bool {
	return errors.Is(err, kafkago.ConcurrentTransactions) || errors.Is(err, kafkago.GroupLoadInProgress) ||
		errors.Is(err, kafkago.GroupCoordinatorNotAvailable) || errors.Is(err, kafkago.NotCoordinatorForGroup)
}

// severalErrors are errors of several brokers, on one line.
type severalErrors []error

func (e severalErrors) Error() string {
	texts := make([]string, len(e))
	for i, err := range e {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (e severalErrors) Unwrap() []error { return e }

// isBrokenConn reports whether a connection failed during a request, which may have arrived.
func isBrokenConn(err error) bool {
	var broken *brokenError
	return errors.As(err, &broken)
}

// isNotSent reports whether err kept a request from being sent at all.
func isNotSent(err error) bool {
	var connect *connectError
	var unasked *unaskedError
	return errors.As(err, &unasked) || errors.Is(err, kafkago.BrokerNotAvailable) ||
		errors.As(err, &connect) && !isBrokenConn(err)
}

// isLeaderMoved reports whether a partition has another leader than the one that was asked, which the next metadata
// will show, or has a leader that is so new that it does not know yet where the partition ends.
func isLeaderMoved(err error) bool {
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

// asNotNow turns an error that means that Kafka cannot be reached or is not ready into ErrNotNow. It is only for errors
// of operations that wrote nothing. An error that a person has to fix is left unchanged.
func asNotNow(err error) error {
	var connect *connectError
	var refusal *connector.Refusal
	if err == nil || errors.Is(err, connector.ErrNotNow) || errors.As(err, &refusal) {
		return err
	}
	passes := isNotSent(err) || isRetriable(err) || isLeaderMoved(err) || isTimeout(err) || isTransient(err) ||
		errors.As(err, &connect) || isBrokenConn(err) || errors.Is(err, errFewAnswer) || errors.Is(err, errBehind) ||
		errors.Is(err, errMoved) || errors.Is(err, errSurpassed)
	if passes {
		return fmt.Errorf("%w: %w", connector.ErrNotNow, err)
	}
	return err
}

// isTransient reports whether a broker refused a request for a temporary reason of its own.
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

// errMoved means that a partition got another leader while it was being read: what was read may be the former leader's
// data.
var errMoved = errors.New("a partition changed its leader while it was being read")
