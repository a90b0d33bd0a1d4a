package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// TestTrio tests what only a cluster of three real brokers shows.
func TestTrio(t *testing.T) {
	c := startTrio(t)
	t.Run("a broker is frozen", func(t *testing.T) { frozenBroker(t, c) })
	t.Run("topics are made while a broker is away", func(t *testing.T) { createWithTwo(t, c) })
	t.Run("the group's coordinator is frozen", func(t *testing.T) { frozenCoordinator(t, c) })
	t.Run("a leader is stale", func(t *testing.T) { staleLeader(t, c) })
}

// frozenCoordinator freezes the broker that coordinates the replicas' group: they go on with another one, a third
// replica joins there, and one that is cut off meanwhile is noticed.
func frozenCoordinator(t *testing.T, c *trio) {
	config := Config{Topic: newTopic()}
	createTopics(t, c.broker(1), config)
	a, two := attend(t, c.broker(0), config, "fleet/pod-a:8080.1"), attend(t, c.broker(1), config, "fleet/pod-b:8080.2")
	wantAll(time.Minute, a, two)
	address, err := a.member.group.coordinator(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	frozen := slices.Index(c.addresses[:], address)
	c.signal(t, frozen, syscall.SIGSTOP)
	defer c.signal(t, frozen, syscall.SIGCONT)
	began := time.Now()
	three := attend(t, c.broker((frozen+1)%3), config, "fleet/pod-c:8080.3")
	wantAll(time.Minute, a, two, three)
	t.Logf("a third joins while the coordinator is frozen: %v", time.Since(began))
	three.die()
	t.Logf("it is cut off: %v", wantAll(15*time.Second, a, two))
}

// frozenBroker starts while a broker accepts connections and does not answer: nothing is refused because of it, and
// many streams are taken over through the other two.
func frozenBroker(t *testing.T, c *trio) {
	config := Config{Topic: newTopic()}
	createTopics(t, c.broker(1), config)
	before := newWriterOf(t, c.broker(1), config, "before", "595981999999")
	before.acquire()
	if err := before.commit(20); err != nil {
		t.Fatal(err)
	}
	frozen := c.leader(t, 1, topicPartition{config.Topic + ".checkpoints", 0})
	c.signal(t, frozen, syscall.SIGSTOP)
	defer c.signal(t, frozen, syscall.SIGCONT)
	config.Brokers = []string{c.addresses[frozen], c.addresses[(frozen+1)%3], c.addresses[(frozen+2)%3]}
	sink, err := Open(config, connector.Encoding{TypePrefix: sinktest.TypePrefix}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	ctx := within(t)
	for _, err := sink.Check(ctx, nil); err != nil; _, err = sink.Check(ctx, nil) {
		if outcomeOf(err) != notNow {
			t.Fatalf("got %v, want to be told to come back", err)
		}
	}
	findings, err := sink.Check(ctx, nil)
	if err != nil && outcomeOf(err) != notNow {
		t.Fatal(err)
	}
	for _, f := range findings {
		if f.Level == connector.FindingRefused {
			t.Errorf("refused: %+v", f)
		}
	}
	var work sync.WaitGroup
	for i := range 12 {
		work.Go(func() {
			log := sink.Log(sinktest.Claim(fmt.Sprintf("59598100000%d", i), "after"))
			defer log.Close()
			if err := persist(ctx, func() error { _, err := log.Acquire(ctx); return err }); err != nil {
				t.Errorf("stream %d: %v", i, err)
			}
		})
	}
	work.Wait()
}

// persist repeats what may be repeated.
func persist(ctx context.Context, try func() error) error {
	for {
		err := try()
		if err == nil || refusalOf(err) != nil || ctx.Err() != nil {
			return err
		}
	}
}

// createWithTwo requests topics of three replicas while one broker is away: it waits for the broker.
func createWithTwo(t *testing.T, c *trio) {
	c.awaitBrokers(t, 3)
	c.signal(t, 2, syscall.SIGSTOP)
	c.awaitBrokers(t, 2)
	config := Config{Topic: newTopic()}
	sink := openSink(t, c.broker(0), config, connector.Encoding{})
	defer sink.Close()
	err := sink.Create(within(t))
	if !errors.Is(err, connector.ErrNotNow) ||
		!strings.Contains(err.Error(), "topics with 3 replicas, but only 2 of its brokers answer") {
		t.Errorf("got %v, want to wait for the third", err)
	}
	c.signal(t, 2, syscall.SIGCONT)
	c.awaitBrokers(t, 3)
	if err := sink.Create(within(t)); err != nil {
		t.Fatal(err)
	}
	var v *view
	c.await(t, "the topics to be known to most brokers", func() bool {
		v, err = sink.cluster.settled(within(t), time.Now())
		return err == nil && !slices.ContainsFunc(sink.topics.all(), func(name string) bool {
			return len(v.topics[name].partitions) == 0
		})
	})
	for _, name := range sink.topics.all() {
		settings, err := sink.client.topicSettings(within(t), name)
		if err != nil {
			t.Fatal(err)
		}
		if replicas, _ := v.topics[name].least(); replicas != 3 || settings["min.insync.replicas"] != "2" ||
			settings["unclean.leader.election.enable"] != "false" {
			t.Errorf("topic %s: %d replicas, %v", name, replicas, settings)
		}
	}
}
