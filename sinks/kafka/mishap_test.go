package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// outcome is a possible result of a commit.
type outcome string

const (
	done    outcome = "done"
	notNow  outcome = "not now"
	unclear outcome = "unclear"
	isOut   outcome = "fenced"
	refused outcome = "refused"
)

func outcomeOf(err error) outcome {
	switch {
	case err == nil:
		return done
	case errors.Is(err, connector.ErrFenced):
		return isOut
	case errors.Is(err, connector.ErrNotNow):
		return notNow
	case refusalOf(err) != nil:
		return refused
	}
	return unclear
}

// writer is an owner of one stream in a test.
type writer struct {
	t      *testing.T
	b      *broker
	stream string
	sink   *Sink
	log    connector.Log
	next   connector.Checkpoint
}

func newWriter(t *testing.T, b *broker, config Config, instance string) *writer {
	t.Helper()
	return newWriterOf(t, b, config, instance, "595981048477")
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func (w *writer) acquire() uint64 {
	w.t.Helper()
	ctx := within(w.t)
	for {
		state, err := w.log.Acquire(ctx)
		if err == nil {
			w.next = state.Checkpoint
			return state.Checkpoint.Sequence
		}
		if connector.Sleep(ctx, 50*time.Millisecond) != nil {
			w.t.Fatalf("acquire: %v", err)
		}
	}
}

// commit commits the next n events.
func (w *writer) commit(n int) error {
	w.t.Helper()
	stream := sinktest.Stream(w.stream)
	events := sinktest.Events(stream, w.next.Sequence+1, n)
	next := sinktest.Next(w.next, events, nil, w.next.Sequence+uint64(n))
	err := w.log.Commit(within(w.t), events, nil, next)
	if err == nil {
		w.next = next
	}
	return err
}

// waitRaised waits until the epoch is raised for the next transaction, which happens after a commit has returned.
func (w *writer) waitRaised() { <-w.log.(*log).session.epochReady }

func (w *writer) wantStored(n uint64) {
	w.t.Helper()
	stored := storedEvents(w.t, w.b, w.sink.topics.events, w.stream)
	for i, s := range stored {
		if s.Sequence != uint64(i)+1 {
			w.t.Fatalf("event %d has sequence %d", i+1, s.Sequence)
		}
	}
	if uint64(len(stored)) != n {
		w.t.Fatalf("%d events are there, want %d", len(stored), n)
	}
}

// TestMishaps loses and delays the requests of a commit, one kind at a time, and continues like the Poller. A request
// that timed out may have been written, like one that lost its connection, even if the brokers answer all later
// requests.
func TestMishaps(t *testing.T) {
	cases := []struct {
		key     kmsg.Key
		what    mishap
		n       int
		outcome outcome
		written bool
	}{
		{kmsg.InitProducerID, loseAnswer, 1, done, true},
		{kmsg.InitProducerID, lateAnswer, 1, done, true},
		{kmsg.AddPartitionsToTxn, loseRequest, 1, unclear, false},
		{kmsg.AddPartitionsToTxn, loseAnswer, 1, unclear, false},
		{kmsg.AddPartitionsToTxn, delay, 1, unclear, false},
		{kmsg.AddPartitionsToTxn, lateRequest, 1, unclear, false},
		{kmsg.AddPartitionsToTxn, lateAnswer, 1, unclear, false},
		{kmsg.Produce, loseRequest, 1, unclear, false},
		{kmsg.Produce, loseAnswer, 1, unclear, false},
		{kmsg.Produce, delay, 1, unclear, false},
		{kmsg.Produce, lateRequest, 1, unclear, false},
		{kmsg.Produce, lateAnswer, 1, unclear, false},
		{kmsg.EndTxn, loseRequest, 1, unclear, false},
		{kmsg.EndTxn, loseAnswer, 1, unclear, true},
		{kmsg.EndTxn, delay, 1, unclear, false},
		{kmsg.EndTxn, lateRequest, 1, unclear, false},
		{kmsg.EndTxn, lateAnswer, 1, unclear, true},
	}
	everyBroker(t, func(t *testing.T, b *broker) {
		for _, c := range cases {
			t.Run(c.key.Name()+" "+c.what.String(), func(t *testing.T) {
				config := Config{Topic: newTopic()}
				createTopics(t, b, config)
				w := newWriter(t, b, config, "one")
				s := sabotage(w.sink)
				w.acquire()
				if err := w.commit(5); err != nil {
					t.Fatal(err)
				}
				w.waitRaised()
				s.next(c.key.Int16(), c.what, c.n)
				if err := w.commit(7); outcomeOf(err) != c.outcome {
					t.Fatalf("the commit is %s (%v), want %s", outcomeOf(err), err, c.outcome)
				}
				if c.outcome == done {
					w.waitRaised() // the request that is to fail may not have been sent yet
				}
				s.wantMet(t)
				want := uint64(5)
				if c.written {
					want = 12
				}
				if c.outcome != done {
					if err := w.commit(7); outcomeOf(err) != unclear {
						t.Fatalf("a commit before Acquire is %s (%v), want unclear", outcomeOf(err), err)
					}
					if got := w.acquire(); got != want {
						t.Fatalf("the sequence is %d, want %d", got, want)
					}
				}
				// A late request arrives while the next transaction is open.
				var answers [][]byte
				s.mu.Lock()
				s.before[kmsg.EndTxn.Int16()] = func() { answers = s.release(t) }
				s.mu.Unlock()
				if err := w.commit(3); err != nil {
					t.Fatal(err)
				}
				if c.what == delay && len(answers) != 1 {
					t.Fatalf("%d late requests arrived, want 1", len(answers))
				}
				for _, a := range answers {
					if !holdsFence(a) {
						t.Fatalf("a late request was not refused as fenced: % x", a)
					}
				}
				want += 3
				w.wantStored(want)
				if got := w.acquire(); got != want {
					t.Fatalf("the sequence is %d, want %d", got, want)
				}
			})
		}
	})
}

// holdsFence reports whether an answer contains an error code of a fenced producer.
func holdsFence(answer []byte) bool {
	for i := 4; i+2 <= len(answer); i++ {
		if code := binary.BigEndian.Uint16(answer[i:]); code == 90 || code == 47 {
			return true
		}
	}
	return false
}

// TestAnswers tests each kind of error answer, which only the fake gives on demand.
func TestAnswers(t *testing.T) {
	cases := []struct {
		name    string
		fault   kfake.Fault
		outcome outcome
		written bool
	}{
		{"not enough replicas", kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicas}, notNow, false},
		{"not enough replicas after append", kfake.Fault{
			Keys: []kmsg.Key{kmsg.Produce},
			Err:  kerr.NotEnoughReplicasAfterAppend,
		}, notNow, false},
		{
			"produce timed out, and was applied",
			kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.RequestTimedOut},
			notNow,
			false,
		},
		{"not the leader", kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotLeaderForPartition}, notNow, false},
		{"disk error", kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.KafkaStorageError}, notNow, false},
		{"produce, unknown error", kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}}, unclear, false},
		{
			"produce of an old epoch",
			kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.InvalidProducerEpoch},
			isOut,
			false,
		},
		{
			"no right to the topic",
			kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.TopicAuthorizationFailed},
			refused,
			false,
		},
		{
			"too large, until it is cut",
			kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.MessageTooLarge, Count: 1},
			done,
			true,
		},
		{"partitions cannot be added", kfake.Fault{
			Keys: []kmsg.Key{kmsg.AddPartitionsToTxn},
			Err:  kerr.UnknownTopicOrPartition,
		}, notNow, false},
		{
			"partitions of a fenced producer",
			kfake.Fault{Keys: []kmsg.Key{kmsg.AddPartitionsToTxn}, Err: kerr.ProducerFenced},
			isOut, false,
		},
		{"partitions while the last transaction ends", kfake.Fault{
			Keys: []kmsg.Key{kmsg.AddPartitionsToTxn},
			Err:  kerr.ConcurrentTransactions, Count: 3,
		}, done, true},
		{"end, unknown error", kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}}, unclear, false},
		{"end, timed out", kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.RequestTimedOut}, unclear, false},
		{"end of a fenced producer", kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.ProducerFenced}, isOut, false},
		{"end in a wrong state", kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.InvalidTxnState}, unclear, false},
		{
			"end while the coordinator moves",
			kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.NotCoordinator, Count: 2},
			done, true,
		},
		{
			"raise of a fenced producer",
			kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, Err: kerr.ProducerFenced},
			isOut,
			false,
		},
		{"raise of a forgotten producer", kfake.Fault{
			Keys: []kmsg.Key{kmsg.InitProducerID},
			Err:  kerr.InvalidProducerIDMapping,
		}, unclear, false},
		{"raise while the coordinator loads", kfake.Fault{
			Keys: []kmsg.Key{kmsg.InitProducerID},
			Err:  kerr.CoordinatorLoadInProgress, Count: 4,
		}, done, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := lenientFake(t, 1)
			config := Config{Topic: newTopic()}
			createTopics(t, b, config)
			w := newWriter(t, b, config, "one")
			if errors.Is(c.fault.Err, kerr.MessageTooLarge) {
				c.fault.Topic = config.Topic // a checkpoint cannot be split
			}
			w.acquire()
			w.waitRaised()
			var handle *kfake.FaultHandle
			if slices.Contains(c.fault.Keys, kmsg.InitProducerID) { // the fault is for the raise after this commit
				handle = b.fake.Fault(c.fault)
			}
			if err := w.commit(5); err != nil {
				t.Fatal(err)
			}
			if handle == nil {
				handle = b.fake.Fault(c.fault)
			}
			err := w.commit(40)
			if outcomeOf(err) != c.outcome {
				t.Fatalf("the commit is %s (%v), want %s", outcomeOf(err), err, c.outcome)
			}
			if handle.Hits() == 0 {
				t.Fatal("the fault was not met")
			}
			handle.Remove()
			want := uint64(5)
			if c.written {
				want = 45
			}
			switch c.outcome {
			case done:
			case notNow: // the same again, without an Acquire
				if err := w.commit(40); err != nil {
					t.Fatal(err)
				}
				want = 45
			default:
				if got := w.acquire(); got != want {
					t.Fatalf("the sequence is %d, want %d", got, want)
				}
			}
			if err := w.commit(2); err != nil {
				t.Fatal(err)
			}
			w.wantStored(want + 2)
		})
	}
}

// TestLeaderMoves commits while partitions change their leaders.
func TestLeaderMoves(t *testing.T) {
	b := fake(t, 3)
	config := Config{Topic: newTopic()}
	createTopics(t, b, config)
	w := newWriter(t, b, config, "one")
	w.acquire()
	var total uint64
	for round := range 6 {
		for _, topic := range []string{config.Topic, config.Topic + ".checkpoints"} {
			for p := range int32(DefaultPartitions) {
				if topic != config.Topic && p > 0 {
					break
				}
				if err := b.fake.MoveTopicPartition(topic, p, int32(round)%3); err != nil {
					t.Fatal(err)
				}
			}
		}
		ctx := within(t)
		for {
			err := w.commit(20)
			if err == nil {
				break
			}
			if got := outcomeOf(err); got == unclear {
				w.acquire()
			} else if got != notNow {
				t.Fatalf("round %d: %v", round, err)
			}
			if connector.Sleep(ctx, 100*time.Millisecond) != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
		total += 20
	}
	w.wantStored(total)
}
