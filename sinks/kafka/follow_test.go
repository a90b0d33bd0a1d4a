package kafka

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// wantFollowed follows a stream from the last events on, calls between once they have arrived, and checks which
// sequences come before and after.
func wantFollowed(t *testing.T, s *Sink, stream string, last []uint64, between func() error, after []uint64) {
	t.Helper()
	var events [][]byte
	err := s.Follow(within(t), connector.FollowOptions{Stream: stream, Last: len(last)}, func(event []byte) error {
		events = append(events, slices.Clone(event))
		if len(events) == len(last) {
			if err := between(); err != nil {
				return err
			}
		}
		if len(events) == len(last)+len(after) {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Fatalf("Follow ended after %d of %d events: %v", len(events), len(last)+len(after), err)
	}
	got := make([]uint64, len(events))
	for i := range events {
		got[i] = sinktest.Structured(t, events[i]).Sequence
	}
	if !slices.Equal(got[:len(last)], last) {
		t.Fatalf("the last ones are %v, want %v", got[:len(last)], last)
	}
	later := got[len(last):]
	slices.Sort(later) // several partitions: their order is not specified
	if !slices.Equal(later, after) {
		t.Fatalf("the further ones are %v, want %v", later, after)
	}
}

// holdMarkers makes the fake acknowledge the next end of a transaction at once, but end it in the partitions only after
// a reader has asked for the stable end of each, before it answers such a question again. Kafka acknowledges as early;
// its markers follow within some milliseconds.
func holdMarkers(t *testing.T, b *broker) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.address))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	var held *kmsg.EndTxnRequest // only the cluster's single goroutine uses it, until asked is closed
	var open atomic.Bool
	asked, written := make(chan struct{}), make(chan struct{})
	b.fake.ControlKey(kmsg.EndTxn.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		held = r.(*kmsg.EndTxnRequest)
		open.Store(true)
		return held.ResponseKind(), nil, true
	})
	b.fake.ControlKey(kmsg.InitProducerID.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.fake.KeepControl()
		if !open.Load() {
			return nil, nil, false
		}
		answer := r.ResponseKind().(*kmsg.InitProducerIDResponse)
		answer.ErrorCode = kerr.ConcurrentTransactions.Code
		return answer, nil, true
	})
	questions := make(map[int32]int) // by partition
	b.fake.ControlKey(kmsg.ListOffsets.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		request := r.(*kmsg.ListOffsetsRequest)
		if !open.Load() || request.IsolationLevel == 0 || request.Topics[0].Partitions[0].Timestamp != -1 {
			return nil, nil, false
		}
		again := false
		for _, p := range request.Topics[0].Partitions {
			questions[p.Partition]++
			again = again || questions[p.Partition] > 1
		}
		if !again {
			if len(questions) == DefaultPartitions {
				close(asked)
			}
			return nil, nil, false
		}
		b.fake.KeepControl() // to be called again, until the markers are written
		answer := request.ResponseKind().(*kmsg.ListOffsetsResponse)
		topic := kmsg.NewListOffsetsResponseTopic()
		topic.Topic = request.Topics[0].Topic
		for _, p := range request.Topics[0].Partitions {
			one := kmsg.NewListOffsetsResponseTopicPartition()
			one.Partition, one.ErrorCode = p.Partition, kerr.LeaderNotAvailable.Code
			topic.Partitions = append(topic.Partitions, one)
		}
		answer.Topics = append(answer.Topics, topic)
		return answer, nil, true
	})
	go func() {
		defer close(written)
		select {
		case <-asked:
		case <-t.Context().Done():
			return
		}
		end := kmsg.NewPtrEndTxnRequest()
		end.TransactionalID, end.ProducerID, end.ProducerEpoch, end.Commit = held.TransactionalID, held.ProducerID,
			held.ProducerEpoch, held.Commit
		answer, err := end.RequestWith(t.Context(), client)
		if err == nil {
			err = kerr.ErrorForCode(answer.ErrorCode)
		}
		if err != nil {
			t.Errorf("end the transaction: %v", err)
		}
		open.Store(false)
	}()
	t.Cleanup(func() { <-written })
}

// TestFollowBeforeMarkers asks for the last events when the newest are acknowledged, but not yet visible to readers of
// committed records: they are among the last ones nevertheless, and do not come later.
func TestFollowBeforeMarkers(t *testing.T) {
	b := lenientFake(t, 1)
	config := Config{Topic: newTopic()}
	createTopics(t, b, config)
	w := newWriter(t, b, config, "one")
	w.sink.watch.once.Do(func() {}) // the watch asks for offsets too
	w.acquire()
	if err := w.commit(7); err != nil {
		t.Fatal(err)
	}
	<-w.log.(*log).session.epochReady
	holdMarkers(t, b)
	if err := w.commit(5); err != nil {
		t.Fatal(err)
	}
	reader := openSink(t, b, config, connector.Encoding{})
	defer reader.Close()
	wantFollowed(t, reader, "595981048477", []uint64{8, 9, 10, 11, 12}, func() error {
		return w.commit(3)
	}, []uint64{13, 14, 15})
}

// TestFollowBesideOpenTransaction follows while the transaction of a writer that died hides the newest events: it
// returns the last ones before it, without waiting for its end, and those behind it once it has ended.
func TestFollowBesideOpenTransaction(t *testing.T) {
	everyBroker(t, func(t *testing.T, b *broker) {
		config := Config{Topic: newTopic(), TransactionTimeout: 2 * time.Minute}
		createTopics(t, b, config)
		w := newWriter(t, b, config, "one")
		w.acquire()
		if err := w.commit(7); err != nil {
			t.Fatal(err)
		}
		reader := openSink(t, b, config, connector.Encoding{})
		defer reader.Close()
		dead := leaveOpen(t, b, config, "595981048478")
		if err := w.commit(5); err != nil {
			t.Fatal(err)
		}
		wantFollowed(t, reader, "595981048477", []uint64{3, 4, 5, 6, 7}, func() error {
			written, err := reader.client.extents(t.Context(), config.Topic, DefaultPartitions, kafkago.ReadUncommitted)
			if err != nil {
				return err
			}
			stable, err := reader.client.extents(t.Context(), config.Topic, DefaultPartitions, kafkago.ReadCommitted)
			if err != nil {
				return err
			}
			if reached(stable, written) {
				return errors.New("the transaction is not open any more")
			}
			_, err = reader.client.initProducerID(t.Context(), dead, noProducer)
			return err
		}, []uint64{8, 9, 10, 11, 12})
	})
}

// TestFollowAtOnce asks for the last events right after each commit.
func TestFollowAtOnce(t *testing.T) {
	everyBroker(t, func(t *testing.T, b *broker) {
		config := Config{Topic: newTopic()}
		createTopics(t, b, config)
		w := newWriter(t, b, config, "one")
		w.acquire()
		for range 20 {
			if err := w.commit(12); err != nil {
				t.Fatal(err)
			}
			n := w.next.Sequence
			wantFollowed(t, w.sink, "595981048477", []uint64{n - 4, n - 3, n - 2, n - 1, n}, func() error { return nil }, nil)
		}
	})
}

// writeAt writes events to the partitions of their chats, in order, each with the given time of its writer's clock.
func writeAt(t *testing.T, b *broker, topic string, events []connector.Event, times ...time.Time) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.address), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	home := newPartitioner(DefaultPartitions)
	for i := range events {
		var d draft
		made := d.of(&events[i], connector.Encoding{Mode: connector.ModeStructured})
		r := &kgo.Record{Topic: topic, Partition: home.of(made.key), Key: made.key, Value: made.value, Timestamp: times[i]}
		for _, h := range made.headers {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
		}
		if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFollowClocks has a stream taken over by an instance whose clock is behind: its events are the newest
// nevertheless, and those of a chat stay in order, in one stream and in all.
func TestFollowClocks(t *testing.T) {
	b := fake(t, 1)
	config := Config{Topic: newTopic()}
	createTopics(t, b, config)
	noon := time.Now().Truncate(time.Hour)
	behind := noon.Add(-time.Minute)
	stream := sinktest.Stream("595981048477")
	events := sinktest.Events(stream, 1, 10)
	for i := range events { // two chats, alternating
		events[i].Chat = events[i%2].Chat
	}
	writeAt(t, b, config.Topic, events, noon, noon, noon, noon, noon, behind, behind, behind, behind, behind)
	s := openSink(t, b, config, connector.Encoding{})
	defer s.Close()
	wantFollowed(t, s, stream.Name, []uint64{4, 5, 6, 7, 8, 9, 10}, func() error { return nil }, nil)

	newest := make(map[uint64]uint64) // by parity, which determines the chat
	given := 0
	err := s.Follow(within(t), connector.FollowOptions{Last: 10}, func(event []byte) error {
		sequence := sinktest.Structured(t, event).Sequence
		if sequence <= newest[sequence%2] {
			t.Errorf("sequence %d of a chat after %d", sequence, newest[sequence%2])
		}
		newest[sequence%2] = sequence
		if given++; given == 10 {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
}

// TestFollowNewLeader follows while a newly elected leader does not yet know where its partitions end.
func TestFollowNewLeader(t *testing.T) {
	b := fake(t, 1)
	config := Config{Topic: newTopic()}
	createTopics(t, b, config)
	w := newWriter(t, b, config, "one")
	w.acquire()
	if err := w.commit(7); err != nil {
		t.Fatal(err)
	}
	fault := b.fake.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.ListOffsets}, Topic: config.Topic,
		Err: kerr.OffsetNotAvailable, Count: 3,
	})
	wantFollowed(t, w.sink, "595981048477", []uint64{3, 4, 5, 6, 7}, func() error { return nil }, nil)
	if fault.Hits() == 0 {
		t.Fatal("the fault was not met")
	}
}
