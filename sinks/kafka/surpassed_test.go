package kafka

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/protocol/metadata"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// put writes a record without being an owner.
func put(t *testing.T, b *broker, r *kgo.Record) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.address), kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// TestTakeOverIsProven has a checkpoint appear below the take-over's own although the reading before did not show it,
// as happens with a broker that was left behind: the take-over is undone, and the next one continues from that
// checkpoint.
func TestTakeOverIsProven(t *testing.T) {
	everyBroker(t, func(t *testing.T, b *broker) {
		config := Config{Topic: newTopic()}
		createTopics(t, b, config)
		one := newWriter(t, b, config, "one")
		one.acquire()
		if err := one.commit(5); err != nil {
			t.Fatal(err)
		}
		hidden := one.next
		hidden.Epoch += 7
		value, err := hidden.AppendJSON(nil, sinktest.TypePrefix)
		if err != nil {
			t.Fatal(err)
		}
		two := newWriter(t, b, config, "two")
		s := sabotage(two.sink)
		s.mu.Lock()
		s.before[kmsg.AddPartitionsToTxn.Int16()] = func() {
			put(t, b, &kgo.Record{Topic: config.Topic + ".checkpoints", Key: []byte(two.stream), Value: value})
		}
		s.mu.Unlock()
		if _, err := two.log.Acquire(within(t)); outcomeOf(err) != notNow || !errors.Is(err, errSurpassed) {
			t.Fatalf("got %v, want to be told that what was read is old", err)
		}
		state, err := two.log.Acquire(within(t))
		if err != nil {
			t.Fatal(err)
		}
		if state.Checkpoint.Epoch != hidden.Epoch+1 || state.Checkpoint.Sequence != 5 {
			t.Fatalf("epoch %d at %d, want %d at 5", state.Checkpoint.Epoch, state.Checkpoint.Sequence, hidden.Epoch+1)
		}
	})
}

// TestEventsAboveTheCheckpoint finds committed events that the newest checkpoint does not know: it is refused, whether
// it knows others or none, until the operator accepts that the log continues after them.
func TestEventsAboveTheCheckpoint(t *testing.T) {
	everyBroker(t, func(t *testing.T, b *broker) {
		for _, known := range []int{0, 40} {
			config := Config{Topic: newTopic()}
			createTopics(t, b, config)
			one := newWriter(t, b, config, "one")
			one.acquire()
			if known > 0 {
				if err := one.commit(known); err != nil {
					t.Fatal(err)
				}
			}
			old := one.next
			if err := one.commit(3); err != nil {
				t.Fatal(err)
			}
			value, err := checkpointValue(t, b, config, one.stream, old)
			if err != nil {
				t.Fatal(err)
			}
			put(t, b, &kgo.Record{Topic: config.Topic + ".checkpoints", Key: []byte(one.stream), Value: value})
			two := newWriter(t, b, config, "two")
			wantRefused(t, two, "newer events are committed")
			claim := sinktest.Claim(one.stream, "three")
			claim.FirstStart = true
			log := two.sink.Log(claim)
			state, err := log.Acquire(within(t))
			if err != nil {
				t.Fatal(err)
			}
			if want := uint64(known) + 3; state.Checkpoint.Sequence != want {
				t.Fatalf("goes on from %d, want %d", state.Checkpoint.Sequence, want)
			}
			if err := log.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// checkpointValue is a checkpoint of an earlier time, with the positions of the newest one as far as they are valid for
// it.
func checkpointValue(t *testing.T, b *broker, config Config, stream string, old connector.Checkpoint) ([]byte, error) {
	t.Helper()
	sink := openSink(t, b, config, connector.Encoding{})
	defer sink.Close()
	held := log0(t, sink, sinktest.Claim(stream, "reader"))
	if old.Sequence == 0 {
		held.Next = nil
	}
	var err error
	if old.Sink, err = held.encode(); err != nil {
		return nil, err
	}
	return old.AppendJSON(nil, sinktest.TypePrefix)
}

// TestFewBrokersAnswer has only one broker of three reachable, which leads everything and coordinates as well: it may
// have been left behind, and is not believed until a second one confirms it.
func TestFewBrokersAnswer(t *testing.T) {
	b := fake(t, 3)
	addresses := b.fake.ListenAddrs()
	config := Config{Topic: newTopic()}
	createTopics(t, b, config)
	w := newWriter(t, b, config, "one")
	w.sink.cluster.bootstrap = addresses[:1]
	s := sabotage(w.sink)
	dial := s.dial
	seen := 1
	s.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		for _, open := range addresses[:seen] {
			if address == open {
				return dial(ctx, network, address)
			}
		}
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ETIMEDOUT}
	}
	if _, err := w.sink.cluster.settled(within(t), time.Now()); !errors.Is(err, errFewAnswer) {
		t.Fatalf("got %v, want that too few answer", err)
	}
	if err := w.sink.Create(within(t)); outcomeOf(err) != notNow {
		t.Fatalf("got %v, want not now", err)
	}
	seen = 2
	if _, err := w.sink.cluster.settled(within(t), time.Now()); err != nil {
		t.Fatal(err)
	}
}

// TestMerge combines what brokers report: the newest term wins, from any broker and in any order.
func TestMerge(t *testing.T) {
	says := func(address string, node, leader, epoch int32, code int16, brokers ...int32) said {
		answer := &metadata.Response{Topics: []metadata.ResponseTopic{{Name: "t", Partitions: []metadata.ResponsePartition{
			{LeaderID: leader, LeaderEpoch: epoch, ErrorCode: code, ReplicaNodes: []int32{1, 2, 3}, IsrNodes: []int32{leader}},
		}}}}
		for _, id := range brokers {
			answer.Brokers = append(answer.Brokers, metadata.ResponseBroker{NodeID: id, Host: "b", Port: id})
		}
		return said{address: address, answer: answer}
	}
	old, fresh, also := says("b:1", 1, 1, 4, 0, 1, 2, 3), says("b:2", 2, 2, 5, 0, 2, 3), says("b:3", 3, 2, 5, 0, 2, 3)
	lost := func(address string) said { return said{address: address, err: errNoAnswer} }
	cases := map[string]struct {
		all    []said
		leader int32
		most   bool
	}{
		"all":                     {[]said{old, fresh, also}, 2, true},
		"the other way round":     {[]said{also, fresh, old}, 2, true},
		"the old one alone":       {[]said{old, lost("b:2"), lost("b:3")}, 1, false},
		"one that knows":          {[]said{old, fresh, lost("b:3")}, 2, false},
		"those that know":         {[]said{lost("b:1"), fresh, also}, 2, true},
		"no leader in a new term": {[]said{old, says("b:2", 2, -1, 5, 5, 2, 3)}, -1, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			v := merge(c.all, time.Time{})
			if got := v.topics["t"].partitions[0].leader; got != c.leader || v.most != c.most {
				t.Errorf("leader %d, most %t; want %d, %t", got, v.most, c.leader, c.most)
			}
			if lead, err := v.of(topicPartition{"t", 0}); (err == nil) != (c.leader >= 0) || err == nil && lead.epoch < 4 {
				t.Errorf("%+v, %v", lead, err)
			}
		})
	}
	if v := merge([]said{fresh, old}, time.Time{}); v.behind[2] || len(v.brokers) != 2 {
		t.Errorf("%+v", v)
	}
	if v := merge([]said{lost("b:1")}, time.Time{}); v != nil {
		t.Errorf("a view of nothing: %+v", v)
	}
	noEpoch := says("b:1", 1, 1, -1, 0, 1)
	if _, err := merge([]said{noEpoch}, time.Time{}).of(topicPartition{"t", 0}); !errors.Is(err, errTooOld) {
		t.Errorf("a leader without a term is asked: %v", err)
	}
	if a, b := merge([]said{old}, time.Time{}), merge([]said{says("b:1", 1, 1, 6, 0, 1, 2, 3)}, time.Time{}); a.same(b,
		"t") {
		t.Error("a leader that was elected again is taken for the one before")
	}
	if a, b := merge([]said{old}, time.Time{}), merge([]said{fresh}, time.Time{}); a.same(b, "t") || !a.same(a, "t") ||
		a.same(a, "u") {
		t.Error("views of different terms are the same")
	}
}
