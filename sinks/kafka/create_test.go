package kafka

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/twochat-connector/twochat-connector/connector"
)

// TestReplicas creates topics with as many replicas as the cluster is set up for, and waits for brokers that are away,
// as a topic with fewer replicas would stay so.
func TestReplicas(t *testing.T) {
	for name, c := range map[string]struct {
		brokers, configured int
		meant               string
		want                int // 0 means to wait
		settings            string
	}{
		"three brokers":              {3, 0, "1", 3, "--replication-factor 3 --config min.insync.replicas=2"},
		"four brokers":               {4, 0, "3", 3, "--replication-factor 3 --config min.insync.replicas=2"},
		"one broker":                 {1, 0, "1", 1, "--replication-factor 1 --config min.insync.replicas=1"},
		"two brokers":                {2, 0, "2", 2, "--replication-factor 2 --config min.insync.replicas=1"},
		"two of three":               {2, 0, "3", 0, ""},
		"one of three":               {1, 0, "5", 0, ""},
		"two of three, by one's own": {2, 2, "3", 2, "--replication-factor 2 --config min.insync.replicas=1"},
	} {
		t.Run(name, func(t *testing.T) {
			b := fake(t, c.brokers, kfake.BrokerConfigs(map[string]string{
				"auto.create.topics.enable":  "false",
				"default.replication.factor": c.meant,
			}))
			s := openSink(t, b, Config{Topic: newTopic(), Replicas: c.configured, Create: true}, connector.Encoding{})
			defer s.Close()
			err := s.Create(within(t))
			if c.want == 0 {
				if outcomeOf(err) != notNow || !strings.Contains(err.Error(), "waiting for the others") {
					t.Fatalf("got %v, want to wait", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			v, err := s.cluster.settled(within(t), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			for _, topic := range s.topics.all() {
				replicas, _ := v.topics[topic].least()
				settings, err := s.client.topicSettings(within(t), topic)
				if err != nil || replicas != c.want || settings["unclean.leader.election.enable"] != "false" {
					t.Errorf("topic %s: %d replicas, %v, %v", topic, replicas, settings, err)
				}
				if command := s.maker.createCommand(topic, replicas); !strings.Contains(command, c.settings) {
					t.Errorf("got %q, want %q in it", command, c.settings)
				}
			}
			if settings, err := s.client.topicSettings(within(t), s.topics.events); err != nil ||
				settings["retention.ms"] != "-1" {
				t.Errorf("events are kept for %q: %v", settings["retention.ms"], err)
			}
		})
	}
}

// TestCheckReplicas finds each of the three topics if it has fewer replicas than the brokers allow, and tells how to
// add replicas.
func TestCheckReplicas(t *testing.T) {
	b := fake(t, 3)
	config := Config{Topic: newTopic()}
	s := openSink(t, b, config, connector.Encoding{})
	defer s.Close()
	client := admin(t, b)
	for _, name := range s.topics.all() {
		settings := map[string]string{}
		if name == s.topics.checkpoints {
			settings["cleanup.policy"] = "compact"
		}
		makeTopic(t, client, name, 2, settings)
	}
	found, err := s.Check(within(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	warned := 0
	for _, f := range found {
		if f.Level == connector.FindingWarning && strings.Contains(f.Text, "1 of the 3 possible replicas") {
			warned++
			for _, part := range []string{`"partition":1,"replicas":[`, "kafka-reassign-partitions.sh --bootstrap-server " +
				b.address, "min.insync.replicas=2"} {
				if !strings.Contains(f.Hint, part) {
					t.Errorf("%q is not in %q", part, f.Hint)
				}
			}
		}
	}
	if warned != 3 {
		t.Errorf("%d topics are warned of, want 3: %+v", warned, found)
	}
}
