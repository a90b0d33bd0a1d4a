package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// staleLeader takes a stream over through a broker that lost its controller: the controller elected other leaders, and
// the owner continued there, but this broker still answers with its old state. As long as no other broker can be asked,
// it is not believed; and if the others can be reached again only just before the take-over is written, what was read
// before is not believed either.
func staleLeader(t *testing.T, c *trio) {
	c.awaitBrokers(t, 3)
	config, stream, stale := streamBeside(t, c)
	checkpoints := topicPartition{config.Topic + ".checkpoints", 0}
	fresh := (stale + 1) % 3
	one := newWriterOf(t, c.broker(fresh), config, "one", stream)
	one.acquire()
	if err := one.commit(30); err != nil {
		t.Fatal(err)
	}
	c.relays[stale].cut()
	defer c.relays[stale].join()
	c.await(t, "another leader", func() bool {
		l := c.leader(t, fresh, checkpoints)
		return l >= 0 && l != stale
	})
	for want := one.next.Sequence + 250; one.next.Sequence < want; {
		if err := one.commit(int(want - one.next.Sequence)); err != nil {
			one.acquire()
		}
	}
	if l := c.leader(t, stale, checkpoints); l != stale {
		t.Fatalf("the broker that was cut off thinks that %d leads", l)
	}

	two := newWriterOf(t, c.broker(stale), config, "two", stream)
	s := sabotage(two.sink)
	var alone, flipped atomic.Bool
	dial := s.dial
	s.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		switch {
		case address != c.addresses[stale] && alone.Load():
			return nil, syscall.ECONNREFUSED
		case address == c.addresses[stale] && flipped.Load():
			address = c.addresses[fresh]
		}
		return dial(ctx, network, address)
	}
	alone.Store(true)
	for range 2 {
		if _, err := two.log.Acquire(within(t)); outcomeOf(err) != notNow {
			t.Fatalf("with one broker of three in sight: %v, want to be told to come back", err)
		}
	}
	alone.Store(false)
	s.mu.Lock()
	s.before[kmsg.AddPartitionsToTxn.Int16()] = func() { // the log has been read, and the take-over is about to be written
		flipped.Store(true)
		s.drop(c.addresses[stale])
		two.sink.cluster.doubt()
	}
	s.mu.Unlock()
	ctx := within(t)
	state, err := two.log.Acquire(ctx)
	for err != nil {
		t.Logf("%s: %v", outcomeOf(err), err)
		// Fenced: the broker that was cut off may have ended the transaction of an earlier try by then.
		if o := outcomeOf(err); o != notNow && o != isOut {
			t.Fatalf("got %v, want to be told to come back", err)
		}
		if connector.Sleep(ctx, 500*time.Millisecond) != nil {
			t.Fatal(err)
		}
		state, err = two.log.Acquire(ctx)
	}
	if state.Checkpoint.Sequence != one.next.Sequence {
		t.Fatalf("the take-over goes on from %d, but %d were committed", state.Checkpoint.Sequence, one.next.Sequence)
	}
	two.next = state.Checkpoint
	if err := two.commit(10); err != nil {
		t.Fatal(err)
	}
	one.wantStored(290)
}

// streamBeside creates topics and finds a stream in them whose coordinator is not the leader of its checkpoints. After
// brokers were away, one of the three may coordinate every stream; then another topic has another leader.
func streamBeside(t *testing.T, c *trio) (config Config, stream string, leader int) {
	t.Helper()
	for range 20 {
		config = Config{Topic: newTopic()}
		createTopics(t, c.broker(0), config)
		c.await(t, "a leader", func() bool {
			leader = c.leader(t, 0, topicPartition{config.Topic + ".checkpoints", 0})
			return leader >= 0
		})
		for i := range 20 {
			stream = fmt.Sprintf("5959810%05d", i)
			if c.coordinator(t, "twochat-connector."+config.Topic+"."+stream) != leader {
				return config, stream, leader
			}
		}
	}
	t.Fatal("every stream is coordinated by the leader of its checkpoints")
	return config, "", -1
}

func newWriterOf(t *testing.T, b *broker, config Config, instance, stream string) *writer {
	t.Helper()
	w := &writer{t: t, b: b, stream: stream, sink: openSink(t, b, config, connector.Encoding{})}
	w.log = w.sink.Log(sinktest.Claim(stream, instance))
	t.Cleanup(func() {
		if err := errors.Join(w.log.Close(), w.sink.Close()); err != nil {
			t.Error(err)
		}
	})
	return w
}
