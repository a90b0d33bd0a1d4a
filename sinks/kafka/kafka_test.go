package kafka

import (
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// TestOpenTransactionBeside takes a stream over while another stream's open transaction is before its newest
// checkpoint, in the same partition. What the transaction hides must not be taken for missing.
func TestOpenTransactionBeside(t *testing.T) {
	t.Parallel() // it mostly waits
	everyBroker(t, func(t *testing.T, b *broker) {
		config := Config{Topic: newTopic(), TransactionTimeout: minTransactionTimeout}
		createTopics(t, b, config)
		w := newWriter(t, b, config, "one")
		w.acquire()
		if err := w.commit(5); err != nil {
			t.Fatal(err)
		}
		leaveOpen(t, b, config, "595981048478")
		// This stream continues behind it, and is taken over.
		if err := w.commit(40); err != nil {
			t.Fatal(err)
		}
		two := newWriter(t, b, config, "two")
		hidden, _, err := two.log.Peek(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if hidden.Sequence != 5 {
			t.Fatalf("the open transaction hides nothing: sequence %d", hidden.Sequence)
		}
		impatient := openSink(t, b, config, connector.Encoding{})
		defer impatient.Close()
		impatient.client.transactionTimeout = -19 * time.Second // the time that an owner waits, less the brokers' own delay
		if _, err := impatient.checkpoints.newest(t.Context(), sinktest.Stream("595981048477"), true); !errors.Is(err,
			errBehind) {
			t.Fatalf("an owner that waited in vain: %v, want errBehind", err)
		}
		state, err := two.log.Acquire(within(t))
		if err != nil {
			t.Fatal(err)
		}
		if state.Checkpoint.Sequence != 45 || len(state.Seen) != 45 {
			t.Fatalf("sequence %d, %d seen; want 45, 45", state.Checkpoint.Sequence, len(state.Seen))
		}
		w.wantStored(45)
	})
}

// TestOpenTransactionOfAnother takes streams over while the transaction of another stream's dead owner is open. Nobody
// waits for what cannot be its own; and whoever waits leaves room for the one that takes over the other stream, as that
// is what ends the transaction.
func TestOpenTransactionOfAnother(t *testing.T) {
	everyBroker(t, func(t *testing.T, b *broker) {
		config := Config{Topic: newTopic(), TransactionTimeout: 10 * time.Minute}
		createTopics(t, b, config)
		w := newWriter(t, b, config, "one")
		w.acquire()
		if err := w.commit(5); err != nil {
			t.Fatal(err)
		}
		other, third := sinktest.Claim("595981048478", "dead"), sinktest.Claim("595981048479", "dead")
		home := topicPartition{config.Topic + ".checkpoints", 0}
		dies := func(claim connector.Claim) {
			begun := claim.TakeOver(connector.Checkpoint{}, time.Now())
			value, err := begun.AppendJSON(nil, sinktest.TypePrefix)
			if err != nil {
				t.Error(err)
			}
			leaveOpenIn(t, b, config, claim.Stream.Name, value, home)
		}
		dies(other)
		two := newWriter(t, b, config, "two")
		sabotaged := sabotage(two.sink)
		sabotaged.mu.Lock()
		// and one more between its reading and its own record
		sabotaged.before[kmsg.AddPartitionsToTxn.Int16()] = func() { dies(third) }
		sabotaged.mu.Unlock()
		if state, err := two.log.Acquire(within(t)); err != nil || state.Checkpoint.Sequence != 5 {
			t.Fatalf("sequence %d, %v", state.Checkpoint.Sequence, err)
		}
		renamed := other.Stream
		renamed.Name = "renamed"
		upTo := extentsOf(t, two.sink, home, kafkago.ReadUncommitted)
		if hides, err := two.sink.checkpoints.hides(t.Context(), renamed, upTo); !hides || err != nil {
			t.Fatalf("a checkpoint of the same list under another name: hidden %v, %v", hides, err)
		}
		if hidden := hiddenIn(t, two.sink, home); hidden == 0 {
			t.Fatal("the transaction of the other stream is over")
		}

		// Now the newest checkpoint is behind them. All streams are taken over by one process.
		three := openSink(t, b, config, connector.Encoding{})
		defer three.Close()
		var waits sync.WaitGroup
		waits.Go(func() {
			log := three.Log(sinktest.Claim(w.stream, "three"))
			defer log.Close()
			if state, err := log.Acquire(within(t)); err != nil || state.Checkpoint.Sequence != 5 {
				t.Errorf("sequence %d, %v", state.Checkpoint.Sequence, err)
			}
		})
		for took := false; !took; { // until the first one has the gate, and so looks first
			took = len(three.checkpoints.gate) == 0
			runtime.Gosched()
		}
		for _, stream := range []string{other.Stream.Name, third.Stream.Name} {
			log := three.Log(sinktest.Claim(stream, "three"))
			defer log.Close()
			if _, err := log.Acquire(within(t)); err != nil {
				t.Errorf("a stream whose owner died: %v", err)
			}
		}
		waits.Wait()
	})
}

// hiddenIn is how many offsets of a partition open transactions hide.
func hiddenIn(t *testing.T, sink *Sink, at topicPartition) int64 {
	t.Helper()
	return extentsOf(t, sink, at, kafkago.ReadUncommitted)[at.partition].end -
		extentsOf(t, sink, at, kafkago.ReadCommitted)[at.partition].end
}

// extentsOf are the extents of the partitions of a topic, up to one.
func extentsOf(t *testing.T, sink *Sink, at topicPartition, isolation kafkago.IsolationLevel) []extent {
	t.Helper()
	found, err := sink.client.extents(t.Context(), at.topic, int(at.partition)+1, isolation)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// leaveOpen lets the owner of a stream die with an open transaction, in the partition of the checkpoints and in all of
// the events, and returns its transactional id.
func leaveOpen(t *testing.T, b *broker, config Config, stream string) (id string) {
	t.Helper()
	partitions := []topicPartition{{config.Topic + ".checkpoints", 0}}
	for p := range int32(DefaultPartitions) {
		partitions = append(partitions, topicPartition{config.Topic, p})
	}
	return leaveOpenIn(t, b, config, stream, []byte("{}"), partitions...)
}

// leaveOpenIn is leaveOpen in partitions, with a record of this value in each.
func leaveOpenIn(t *testing.T, b *broker, config Config, stream string, value []byte, partitions ...topicPartition) (id string) {
	t.Helper()
	dead := openSink(t, b, config, connector.Encoding{})
	id = dead.transactionalID(stream)
	who, err := dead.client.initProducerID(t.Context(), id, noProducer)
	if err != nil {
		t.Fatal(err)
	}
	if err := dead.client.addPartitions(t.Context(), id, who, partitions); err != nil {
		t.Fatal(err)
	}
	batches := make([]*produceBatch, len(partitions))
	for i, at := range partitions {
		batch, err := encodeBatch(&record{key: []byte(stream), value: value}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := stampBatch(batch, who, 0); err != nil {
			t.Fatal(err)
		}
		batches[i] = &produceBatch{at: at, batch: batch}
	}
	if err := dead.client.produce(t.Context(), id, batches); err != nil {
		t.Fatal(err)
	}
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	return id
}

// TestTimes writes history of three years ago and of the future into a topic with a retention of a week. It is
// accepted and stays.
func TestTimes(t *testing.T) {
	everyBroker(t, func(t *testing.T, b *broker) {
		config := Config{Topic: newTopic(), Retention: 168 * time.Hour}
		createTopics(t, b, config)
		sink := openSink(t, b, config, connector.Encoding{})
		defer sink.Close()
		settings, err := sink.client.topicSettings(t.Context(), config.Topic)
		if err != nil || settings["retention.ms"] != "604800000" {
			t.Fatalf("retention.ms is %q: %v", settings["retention.ms"], err)
		}
		claim := sinktest.Claim("595981048477", "one")
		log := sink.Log(claim)
		defer log.Close()
		state, err := log.Acquire(within(t))
		if err != nil {
			t.Fatal(err)
		}
		events := sinktest.Events(claim.Stream, 1, 12)
		began := time.Now().Add(-time.Second)
		for i := range events {
			events[i].Time = began.AddDate(-3+i/2, 0, 0)
		}
		if err := log.Commit(within(t), events, nil, sinktest.Next(state.Checkpoint, events, nil, 12)); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, records := range readCommitted(t, b, config.Topic) {
			for _, r := range records {
				n++
				if r.Timestamp.Before(began) || r.Timestamp.After(time.Now().Add(time.Second)) {
					t.Errorf("a record has the time %v, the commit was at %v", r.Timestamp, began)
				}
			}
		}
		if n != len(events) {
			t.Fatalf("%d records, want %d", n, len(events))
		}
	})
}

// TestWindowIsShort reads back no more of a long log than the window, and finds it by the marks.
func TestWindowIsShort(t *testing.T) {
	b := fake(t, 1)
	config := Config{Topic: newTopic()}
	createTopics(t, b, config)
	claim := sinktest.Claim("595981048477", "one")
	claim.Window = 200
	for round := range 4 {
		sink := openSink(t, b, config, connector.Encoding{})
		log := sink.Log(claim)
		state, err := log.Acquire(within(t))
		if err != nil {
			t.Fatal(err)
		}
		next := state.Checkpoint
		for range 40 {
			events := sinktest.Events(claim.Stream, next.Sequence+1, 30)
			next = sinktest.Next(next, events, nil, next.Sequence+30)
			if err := log.Commit(within(t), events, nil, next); err != nil {
				t.Fatal(err)
			}
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		held := log0(t, sink, claim)
		if n := len(held.Marks); n < 2 || n > maxMarks+2 {
			t.Fatalf("round %d: %d marks", round, n)
		}
		if oldest := held.Marks[0].Sequence; oldest+uint64(claim.Window) > next.Sequence ||
			oldest+4*uint64(claim.Window) < next.Sequence {
			t.Fatalf("round %d: the oldest mark is at %d of %d", round, oldest, next.Sequence)
		}
		if err := sink.Close(); err != nil {
			t.Fatal(err)
		}
	}
	sink := openSink(t, b, config, connector.Encoding{})
	defer sink.Close()
	log := sink.Log(claim)
	defer log.Close()
	state, err := log.Acquire(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(state.Seen) != 200 || state.Seen[0].Sequence != state.Checkpoint.Sequence-199 {
		t.Fatalf("%d seen from %d, of %d", len(state.Seen), state.Seen[0].Sequence, state.Checkpoint.Sequence)
	}
}

func log0(t *testing.T, sink *Sink, claim connector.Claim) positions {
	t.Helper()
	checkpoint, found, err := sink.Log(claim).Peek(t.Context())
	if err != nil || !found {
		t.Fatalf("peek: %v, %t", err, found)
	}
	held, err := readPositions(checkpoint.Sink)
	if err != nil {
		t.Fatal(err)
	}
	return held
}

func addPartitionsTo(t *testing.T, b *broker, topic string, count int) {
	t.Helper()
	client := &kafkago.Client{Addr: kafkago.TCP(b.address), Transport: &kafkago.Transport{}}
	defer client.Transport.(*kafkago.Transport).CloseIdleConnections()
	answer, err := client.CreatePartitions(within(t),
		&kafkago.CreatePartitionsRequest{Topics: []kafkago.TopicPartitionsConfig{{Name: topic, Count: int32(count)}}})
	if err == nil {
		err = answer.Errors[topic]
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestPartitionCount fixes the number of partitions: more partitions move no chat unless the operator accepts it, and
// fewer are refused.
func TestPartitionCount(t *testing.T) {
	everyBroker(t, func(t *testing.T, b *broker) {
		config := Config{Topic: newTopic()}
		createTopics(t, b, config)
		w := newWriter(t, b, config, "one")
		w.acquire()
		if err := w.commit(30); err != nil {
			t.Fatal(err)
		}
		addPartitionsTo(t, b, config.Topic, 9)
		two := newWriter(t, b, config, "two")
		two.acquire()
		if err := two.commit(30); err != nil {
			t.Fatal(err)
		}
		two.wantStored(60) // which also checks that each chat stays in one partition
		claims := []connector.Claim{sinktest.Claim("595981048477", "two")}
		wantFinding(t, two.sink, claims, connector.FindingWarning, "has 9 partitions; the stream uses the first 6")

		config.AcceptPartitions = 7
		three := newWriter(t, b, config, "three")
		three.acquire()
		if held := log0(t, three.sink, claims[0]); held.Partitions != 7 {
			t.Fatalf("%d partitions after they were accepted, want 7", held.Partitions)
		}
		if err := three.commit(30); err != nil {
			t.Fatal(err)
		}
		config.AcceptPartitions = 6
		four := newWriter(t, b, config, "four")
		wantRefused(t, four, "--accept-partitions")
		config.AcceptPartitions = 10
		five := newWriter(t, b, config, "five")
		wantRefused(t, five, "--accept-partitions")
		config.AcceptPartitions = 0
		six := newWriter(t, b, config, "six")
		if got := six.acquire(); got != 90 {
			t.Fatalf("sequence %d, want 90", got)
		}
	})
}

// TestTopicTruncated refuses a topic that ends before what it acknowledged.
func TestTopicTruncated(t *testing.T) {
	l := &admission{sink: openSink(t, fake(t, 1), Config{Topic: newTopic()}, connector.Encoding{})}
	defer l.sink.Close()
	held := positions{Partitions: 3, Next: []int64{7, 0, 9}}
	for _, c := range []struct {
		ends    []extent
		refused bool
	}{
		{[]extent{{0, 7}, {0, 0}, {0, 9}}, false},
		{[]extent{{0, 7}, {0, 0}, {0, 8}}, true},
		{[]extent{{0, 7}}, false},
		{[]extent{{0, 0}, {0, 5}, {0, 9}}, true},
	} {
		err := l.truncated(held, c.ends)
		if refusal := refusalOf(err); (refusal != nil) != c.refused || refusal != nil &&
			!strings.Contains(refusal.Cause, "it ends at offset") {
			t.Errorf("%v: %v", c.ends, err)
		}
		l.claim.FirstStart = true
		if err := l.truncated(held, c.ends); err != nil {
			t.Errorf("%v, by the operator's word: %v", c.ends, err)
		}
		l.claim.FirstStart = false
	}
}

// TestTopicMadeAnew refuses a topic that is not the one that was written to, and one with fewer partitions.
func TestTopicMadeAnew(t *testing.T) {
	for name, partitions := range map[string]int32{"it was recreated": DefaultPartitions, "it has 2 partitions": 2} {
		t.Run(name, func(t *testing.T) {
			b := fake(t, 1)
			config := Config{Topic: newTopic()}
			createTopics(t, b, config)
			w := newWriter(t, b, config, "one")
			w.acquire()
			for range 2 {
				if err := w.commit(30); err != nil {
					t.Fatal(err)
				}
			}
			client, err := kgo.NewClient(kgo.SeedBrokers(b.address))
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			remakeTopic(t, client, config.Topic, partitions)
			two := newWriter(t, b, config, "two")
			wantRefused(t, two, name)
		})
	}
}

func wantRefused(t *testing.T, w *writer, part string) {
	t.Helper()
	_, err := w.log.Acquire(within(t))
	refusal := refusalOf(err)
	if refusal == nil || !strings.Contains(refusal.Error(), part) || refusal.Hint == "" {
		t.Fatalf("got %v, want a refusal with %q", err, part)
	}
}

// TestCredentials uses each mechanism that the fake knows, over TLS, and reads secrets again for new connections.
func TestCredentials(t *testing.T) {
	for mechanism, name := range map[string]string{
		"plain": "PLAIN", "scram-sha-256": "SCRAM-SHA-256",
		"scram-sha-512": "SCRAM-SHA-512",
	} {
		t.Run(mechanism, func(t *testing.T) {
			b := lenientFake(t, 1, kfake.EnableSASL(), kfake.Superuser(name, "connector", "right"))
			secret := writeFile(t, "password", "wrong\n")
			config := Config{Topic: newTopic(), SASL: SASL{Mechanism: mechanism, Username: "connector", PasswordFile: secret}}
			s := openSink(t, b, config, connector.Encoding{})
			defer s.Close()
			if err := s.Create(t.Context()); err == nil {
				t.Fatal("the wrong password is accepted")
			} else if strings.Contains(err.Error(), "wrong") {
				t.Fatalf("the error quotes the password: %v", err)
			}
			overwrite(t, secret, "right\n")
			ctx := within(t)
			for err := s.Create(ctx); err != nil; err = s.Create(ctx) {
				if connector.Sleep(ctx, 50*time.Millisecond) != nil {
					t.Fatalf("the new password is not read: %v", err)
				}
			}
		})
	}
}
