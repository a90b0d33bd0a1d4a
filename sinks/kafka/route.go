package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/findcoordinator"
)

const (
	// callTimeout limits one step of a commit: its requests, and their repetitions.
	callTimeout = 10 * time.Second
	// tryTime limits one request that can be repeated, to the same broker or another.
	tryTime = 4 * time.Second
)

// to sends a request to a broker. If that fails, the next user of the view looks up the leaders again.
func (c *cluster) to(
	ctx context.Context, broker int32, within time.Duration, request protocol.Message,
) (protocol.Message, error) {
	v, err := c.known(ctx)
	if err != nil {
		return nil, err
	}
	address, ok := v.brokers[broker]
	if !ok {
		c.doubt()
		return nil, fmt.Errorf("broker %d: %w", broker, kafkago.BrokerNotAvailable)
	}
	answer, err := c.wires.ask(ctx, address, within, request)
	if err != nil {
		c.doubt()
		return nil, fmt.Errorf("broker %d: %w", broker, err)
	}
	return answer, nil
}

// any asks one broker after the other until one answers. Brokers that are behind the others, or did not answer last
// time, come last.
func (c *cluster) any(ctx context.Context, request protocol.Message) (protocol.Message, error) {
	v, err := c.known(ctx)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, address := range v.order() {
		answer, err := c.wires.ask(ctx, address, tryTime, request)
		if err == nil {
			return answer, nil
		}
		c.doubt()
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, severalErrors(errs)
}

// controlled asks the controller. If it does not answer, it asks any broker, as most forward such a request.
func (c *cluster) controlled(ctx context.Context, request protocol.Message) (protocol.Message, error) {
	v, err := c.known(ctx)
	if err != nil {
		return nil, err
	}
	if address, ok := v.brokers[v.control]; ok {
		if answer, err := c.wires.ask(ctx, address, callTimeout, request); err == nil {
			c.doubt() // what it changes has to become visible
			return answer, nil
		}
	}
	c.doubt()
	return c.any(ctx, request)
}

// order lists the brokers' addresses, beginning with those that are most likely up to date.
func (v *view) order() []string {
	var first, last []string
	for id, address := range v.brokers {
		if v.answered[address] && !v.behind[id] {
			first = append(first, address)
		} else {
			last = append(last, address)
		}
	}
	if len(first)+len(last) == 0 {
		for address := range v.answered {
			first = append(first, address)
		}
	}
	return slices.Concat(first, last)
}

// transact asks the coordinator of a transactional id.
func (c *cluster) transact(
	ctx context.Context, id string, within time.Duration, request protocol.Message,
) (protocol.Message, error) {
	broker, err := c.coordinator(ctx, id)
	if err != nil {
		return nil, err
	}
	answer, err := c.to(ctx, broker, within, request)
	if err != nil {
		c.forget(id)
	}
	return answer, err
}

func (c *cluster) coordinator(ctx context.Context, id string) (int32, error) {
	c.mu.Lock()
	broker, ok := c.coordinators[id]
	c.mu.Unlock()
	if ok {
		return broker, nil
	}
	found, err := answerAs[*findcoordinator.Response](c.any(ctx,
		&findcoordinator.Request{Key: id, KeyType: int8(kafkago.CoordinatorKeyTypeTransaction)}))
	switch {
	case err != nil:
		return 0, &unaskedError{"find the coordinator", err}
	case found.ErrorCode != 0:
		return 0, fmt.Errorf("find the coordinator: %w", kafkago.Error(found.ErrorCode))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.coordinators[id] = found.NodeID
	return found.NodeID, nil
}

// forget makes the next request look up the coordinator of a transactional id again.
func (c *cluster) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.coordinators, id)
}

// moved forgets a coordinator that answers that it is not the coordinator.
func (c *cluster) moved(id string, err error) {
	if !errors.Is(err, kafkago.ConcurrentTransactions) && !errors.Is(err, kafkago.GroupLoadInProgress) {
		c.forget(id)
	}
}

// unaskedError means that there was no broker to send a request to.
type unaskedError struct {
	what string
	err  error
}

func (e *unaskedError) Error() string { return e.what + ": " + e.err.Error() }
func (e *unaskedError) Unwrap() error { return e.err }
