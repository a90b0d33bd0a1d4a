package kafka

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

func admin(t *testing.T, b *broker) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.address))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func wantRefusal(t *testing.T, err error, part string) {
	t.Helper()
	refusal := refusalOf(err)
	if refusal == nil || !strings.Contains(refusal.Error(), part) || refusal.Hint == "" {
		t.Fatalf("got %v, want a refusal with %q", err, part)
	}
}

// TestTopicDeleted deletes a topic under a running instance: it is missing for a moment, and then refused. A restart
// that may create topics does not recreate this one beside what was written together with it.
func TestTopicDeleted(t *testing.T) {
	t.Parallel() // it mostly waits
	for _, suffix := range []string{"", ".checkpoints"} {
		t.Run("topic"+suffix, func(t *testing.T) {
			t.Parallel()
			b := fake(t, 1)
			config := Config{Topic: newTopic(), Create: true}
			createTopics(t, b, config)
			w := newWriter(t, b, config, "one")
			w.acquire()
			if err := w.commit(30); err != nil {
				t.Fatal(err)
			}
			client := admin(t, b)
			deleteTopic(t, client, config.Topic+suffix)
			if err := w.commit(5); outcomeOf(err) != notNow {
				t.Fatalf("at first: %v, want not now", err)
			}
			w.sink.missing.goneAfter = 0
			wantRefusal(t, w.commit(5), "topic "+config.Topic+suffix+": it was deleted while this instance was running")

			again := openSink(t, b, config, connector.Encoding{})
			defer again.Close()
			wantRefusal(t, again.Create(within(t)), "topic "+config.Topic+suffix+": it does not exist, but topic "+config.Topic)
			wantRefusal(t, again.CheckCreate(within(t)), "it was deleted")
			wantFinding(t, again, nil, connector.FindingRefused, "it was deleted")
			found, err := again.Check(within(t), nil)
			for _, f := range found {
				if err != nil || f.Missing {
					t.Errorf("%+v, %v: `create` would make it", f, err)
				}
			}
		})
	}
	t.Run("quarantine", func(t *testing.T) { // its contents decide nothing
		b := fake(t, 1)
		config := Config{Topic: newTopic(), Create: true}
		createTopics(t, b, config)
		w := newWriter(t, b, config, "one")
		w.acquire()
		if err := w.commit(3); err != nil {
			t.Fatal(err)
		}
		deleteTopic(t, admin(t, b), config.Topic+".quarantine")
		createTopics(t, b, config)
		if err := w.commit(3); err != nil {
			t.Fatal(err)
		}
	})
}

// TestTopicAnewUnderAnInstance recreates a topic under a running instance, which then does not continue there.
func TestTopicAnewUnderAnInstance(t *testing.T) {
	everyBroker(t, func(t *testing.T, b *broker) {
		for _, suffix := range []string{"", ".checkpoints"} {
			config := Config{Topic: newTopic()}
			createTopics(t, b, config)
			w := newWriter(t, b, config, "one")
			w.acquire()
			for range 2 {
				if err := w.commit(60); err != nil {
					t.Fatal(err)
				}
			}
			client := admin(t, b)
			deleteTopic(t, client, config.Topic+suffix)
			createAnew(t, b, config)
			err := w.commit(60)
			for ctx := within(t); outcomeOf(err) == notNow && connector.Sleep(ctx, 50*time.Millisecond) == nil; {
				err = w.commit(60)
			}
			if outcomeOf(err) == unclear { // a real broker may abort the transaction
				_, err = w.log.Acquire(within(t))
			}
			wantRefusal(t, err, "restore it")
			_, err = w.log.Acquire(within(t))
			if refusalOf(err) == nil {
				t.Fatalf("topic%s: it is taken over again: %v", suffix, err)
			}
			if n := len(storedEvents(t, b, config.Topic, w.stream)); suffix == "" && n != 0 {
				t.Fatalf("%d events are in the new topic", n)
			}
		}
	})
}

// createAnew creates the missing topics by hand, like an operator's tool.
func createAnew(t *testing.T, b *broker, config Config) {
	t.Helper()
	s := openSink(t, b, config, connector.Encoding{})
	defer s.Close()
	v, err := s.cluster.settled(within(t), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	missing, err := s.maker.absent(v)
	if err != nil {
		t.Fatal(err)
	}
	for ctx := within(t); len(missing) == 0 && connector.Sleep(ctx, 50*time.Millisecond) == nil; missing,
		_ = s.maker.absent(v) {
		if v, err = s.cluster.settled(ctx, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	client := admin(t, b)
	for _, name := range missing {
		makeTopic(t, client, name, int32(s.maker.partitions(name)), nil)
	}
}

// TestStandingHolds recreates all topics between two take-overs of one instance, which knows that it must not begin a
// new log.
func TestStandingHolds(t *testing.T) {
	b := fake(t, 1)
	config := Config{Topic: newTopic()}
	createTopics(t, b, config)
	w := newWriter(t, b, config, "one")
	w.acquire()
	if err := w.commit(30); err != nil {
		t.Fatal(err)
	}
	client := admin(t, b)
	for _, name := range w.sink.topics.all() {
		remakeTopic(t, client, name, int32(w.sink.maker.partitions(name)))
	}
	_, err := w.log.Acquire(within(t))
	wantRefusal(t, err, "its log went back from 30 to 0")
	if n := len(readCommitted(t, b, config.Topic+".checkpoints")[0]); n != 0 {
		t.Fatalf("%d checkpoints were written", n)
	}
}

// TestCheckpointsAnew recreates the topic of checkpoints, with more in it than before: what was read before is
// forgotten.
func TestCheckpointsAnew(t *testing.T) {
	b := fake(t, 1)
	config := Config{Topic: newTopic()}
	createTopics(t, b, config)
	w := newWriter(t, b, config, "one")
	w.acquire()
	if err := w.commit(3); err != nil {
		t.Fatal(err)
	}
	reader := openSink(t, b, config, connector.Encoding{})
	defer reader.Close()
	log := reader.Log(sinktest.Claim(w.stream, "reader"))
	if c, found, err := log.Peek(within(t)); err != nil || !found || c.Sequence != 3 {
		t.Fatalf("%d, %t, %v", c.Sequence, found, err)
	}
	name := config.Topic + ".checkpoints"
	remakeTopic(t, admin(t, b), name, 1)
	for i := range 20 {
		put(t, b, &kgo.Record{Topic: name, Key: []byte("other"), Value: fmt.Appendf(nil, `{"data":{},"n":%d}`, i)})
	}
	reader.cluster.doubt()
	if c, found, err := log.Peek(within(t)); found {
		t.Fatalf("sequence %d is found in the new topic, %v", c.Sequence, err)
	}
}

// TestManyCheckpoints finds a checkpoint below thousands of others, and one after them.
func TestManyCheckpoints(t *testing.T) {
	b := fake(t, 1)
	config := Config{Topic: newTopic()}
	createTopics(t, b, config)
	w := newWriter(t, b, config, "one")
	w.acquire()
	if err := w.commit(3); err != nil {
		t.Fatal(err)
	}
	client := admin(t, b)
	var records []*kgo.Record
	for i := range 5500 {
		records = append(records, &kgo.Record{
			Topic: config.Topic + ".checkpoints", Key: fmt.Appendf(nil, "other-%d", i%3),
			Value: []byte(`{}`),
		})
	}
	if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for _, instance := range []string{"two", "three"} {
		next := newWriter(t, b, config, instance)
		if got := next.acquire(); got != 3 {
			t.Fatalf("%s goes on from %d, want 3", instance, got)
		}
	}
}

// TestOlderCheckpoints has checkpoints of one stream on both sides of every step in which the topic is read backward,
// and another stream without any, for which all of it is read: an older checkpoint never replaces a newer one,
// whichever stream is asked for.
func TestOlderCheckpoints(t *testing.T) {
	for name, last := range map[string]int{"newest where the reading begins": 20, "newest a step back": firstStep + 20} {
		t.Run(name, func(t *testing.T) {
			b := fake(t, 1)
			config := Config{Topic: newTopic()}
			createTopics(t, b, config)
			w := newWriter(t, b, config, "one")
			w.acquire()
			client := admin(t, b)
			for _, beside := range []int{firstStep * stepUp, 2 * firstStep, last} {
				if err := w.commit(3); err != nil {
					t.Fatal(err)
				}
				records := make([]*kgo.Record, beside)
				for i := range records {
					records[i] = &kgo.Record{Topic: config.Topic + ".checkpoints", Key: []byte("other")} // deleted by hand
				}
				if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			next := newWriter(t, b, config, "two")
			for _, stream := range []string{w.stream, "595000000000", w.stream} {
				checkpoint, found, err := next.sink.Log(sinktest.Claim(stream, "reader")).Peek(within(t))
				if err != nil {
					t.Fatal(err)
				}
				if ours := stream == w.stream; found != ours || ours && checkpoint.Sequence != 9 {
					t.Fatalf("stream %s: sequence %d, %t", stream, checkpoint.Sequence, found)
				}
			}
			if got := next.acquire(); got != 9 {
				t.Fatalf("goes on from %d, want 9", got)
			}
		})
	}
}

// TestRightsWithdrawn withdraws a permission: the commit is refused, with the command that restores it, and so is the
// next take-over, until it is restored.
func TestRightsWithdrawn(t *testing.T) {
	w := newWriter(t, fake(t, 1), Config{}, "one")
	for _, c := range rightCodes {
		err := w.sink.hints.asRefusal(fmt.Errorf("produce: %w", c.code))
		wantRefusal(t, err, c.part)
		if !strings.Contains(refusalOf(err).Hint, c.hint) {
			t.Errorf("%v: the hint is %q", c.code, refusalOf(err).Hint)
		}
	}
	if err := w.sink.hints.asRefusal(errNoAnswer); !errors.Is(err, errNoAnswer) || refusalOf(err) != nil {
		t.Errorf("got %v", err)
	}
}
