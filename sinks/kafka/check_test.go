package kafka

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

func refusalOf(err error) *connector.Refusal {
	var refusal *connector.Refusal
	if errors.As(err, &refusal) {
		return refusal
	}
	return nil
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	overwrite(t, path, text)
	return path
}

func overwrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// remakeTopic deletes a topic and creates it again.
func remakeTopic(t *testing.T, client *kgo.Client, topic string, partitions int32) {
	t.Helper()
	deleteTopic(t, client, topic)
	makeTopic(t, client, topic, partitions, nil)
}

func deleteTopic(t *testing.T, client *kgo.Client, topic string) {
	t.Helper()
	drop := kmsg.NewPtrDeleteTopicsRequest()
	drop.TopicNames = []string{topic}
	one := kmsg.NewDeleteTopicsRequestTopic()
	one.Topic = kmsg.StringPtr(topic)
	drop.Topics = append(drop.Topics, one)
	dropped, err := drop.RequestWith(t.Context(), client)
	if err == nil {
		err = kerr.ErrorForCode(dropped.Topics[0].ErrorCode)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func makeTopic(t *testing.T, client *kgo.Client, topic string, partitions int32, settings map[string]string) {
	t.Helper()
	create := kmsg.NewPtrCreateTopicsRequest()
	made := kmsg.NewCreateTopicsRequestTopic()
	made.Topic, made.NumPartitions, made.ReplicationFactor = topic, partitions, 1
	for name, value := range settings {
		config := kmsg.NewCreateTopicsRequestTopicConfig()
		config.Name, config.Value = name, kmsg.StringPtr(value)
		made.Configs = append(made.Configs, config)
	}
	create.Topics = append(create.Topics, made)
	answer, err := create.RequestWith(t.Context(), client)
	if err == nil {
		err = kerr.ErrorForCode(answer.Topics[0].ErrorCode)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func wantFinding(t *testing.T, s *Sink, claims []connector.Claim, level connector.FindingLevel, part string) {
	t.Helper()
	found, err := s.Check(within(t), claims)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if f.Level == level && strings.Contains(f.Thing+": "+f.Text, part) &&
			(f.Hint != "") == (level != connector.FindingOK) {
			return
		}
	}
	t.Fatalf("no finding %q, %q, with its mend, in %+v", level, part, found)
}

// TestCheckFresh checks topics that Create made: nothing is refused.
func TestCheckFresh(t *testing.T) {
	t.Parallel() // it mostly waits
	everyBroker(t, func(t *testing.T, b *broker) {
		config := Config{Topic: newTopic()}
		s := openSink(t, b, config, connector.Encoding{})
		defer s.Close()
		claims := []connector.Claim{sinktest.Claim("595981048477", "one")}
		found, err := s.Check(within(t), claims)
		if err != nil {
			t.Fatal(err)
		}
		var missing []string
		for _, f := range found {
			if f.Missing && f.Level == connector.FindingRefused && f.Hint != "" {
				missing = append(missing, f.Thing+": "+f.Text)
			}
		}
		for _, topic := range s.topics.all() {
			if !slices.Contains(missing, "topic "+topic+": it does not exist") {
				t.Errorf("topic %s is not missing in %+v", topic, found)
			}
		}
		w := newWriter(t, b, config, "one")
		if _, err := w.log.Acquire(t.Context()); refusalOf(err) == nil {
			t.Fatalf("got %v, want a refusal of the missing topic", err)
		}
		for range 2 {
			if err := s.Create(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		found, err = s.Check(within(t), claims)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			if f.Level == connector.FindingRefused {
				t.Errorf("refused: %+v", f)
			}
			if strings.Contains(f.Text, "could not be checked") || strings.Contains(f.Text, "cannot be read") {
				t.Errorf("not checked: %+v", f)
			}
		}
		wantFinding(t, s, claims, connector.FindingOK, fmt.Sprintf("topic %s: 6 partitions", config.Topic))
		w.acquire()
		if err := w.commit(3); err != nil {
			t.Fatal(err)
		}
		wantFinding(t, s, claims, connector.FindingOK, "known, at sequence 3")
		if err := w.commit(3); err != nil {
			t.Fatalf("a check disturbs the owner: %v", err)
		}
		other := sinktest.Claim("595981048477", "one")
		other.Stream.SourceKey = "another"
		wantFinding(t, s, []connector.Claim{other}, connector.FindingRefused, "in use in this sink for another list")
		alias := sinktest.Claim("support", "one")
		alias.Stream.SourceKey = claims[0].Stream.SourceKey
		wantFinding(t, s, []connector.Claim{alias}, connector.FindingRefused, "already holds this list")
	})
}

// TestCheckSettings gives topics settings that weaken the promise.
func TestCheckSettings(t *testing.T) {
	cases := []struct {
		suffix, name, value string
		level               connector.FindingLevel
		part                string
	}{
		{"", "cleanup.policy", "compact", connector.FindingRefused, "only the newest record of each key would stay"},
		{
			".quarantine", "cleanup.policy", "compact,delete", connector.FindingRefused,
			"only the newest record of each key would stay",
		},
		{
			".checkpoints", "cleanup.policy", "delete", connector.FindingRefused,
			"checkpoints of quiet streams would be deleted",
		},
		{
			".checkpoints", "cleanup.policy", "compact,delete", connector.FindingRefused,
			"checkpoints of quiet streams would be deleted",
		},
		{"", "min.insync.replicas", "2", connector.FindingRefused, "nothing can be written"},
		{"", "max.message.bytes", "10000", connector.FindingWarning, "up to 10000 bytes"},
		{"", "retention.ms", "-1", connector.FindingOK, "kept for ever"},
		{"", "unclean.leader.election.enable", "true", connector.FindingWarning, "a replica that lags may become leader"},
	}
	everyBroker(t, func(t *testing.T, b *broker) {
		client, err := kgo.NewClient(kgo.SeedBrokers(b.address))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		for _, c := range cases {
			t.Run(c.suffix+c.name+"="+c.value, func(t *testing.T) {
				config := Config{Topic: newTopic()}
				makeTopic(t, client, config.Topic+c.suffix, 1, map[string]string{c.name: c.value})
				createTopics(t, b, config) // creates the others; this one stays as it is
				s := openSink(t, b, config, connector.Encoding{})
				defer s.Close()
				wantFinding(t, s, nil, c.level, c.part)
			})
		}
	})
}

// TestCheckCompression: the finding names the clients that cannot read a codec. There is none if all clients can.
func TestCheckCompression(t *testing.T) {
	b := fake(t, 1)
	for compression, want := range map[string]string{
		"": "", "gzip": "", "none": "", "zstd": "zstandard", "lz4": "lz4js", "snappy": "python-snappy",
	} {
		s := openSink(t, b, Config{Topic: newTopic(), Compression: compression, Create: true}, connector.Encoding{})
		if err := s.Create(within(t)); err != nil {
			t.Fatal(err)
		}
		findings, err := s.Check(within(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(findings, func(f connector.Finding) bool { return f.Thing == "sink.kafka.compression" })
		if (at >= 0) != (want != "") || at >= 0 && !strings.Contains(findings[at].Text, want) {
			t.Errorf("%q: %v", compression, findings)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestCheckRights has a user without the permission for the stream's transactional id, and one who may not write to the
// topic.
func TestCheckRights(t *testing.T) {
	all := []kfake.ACL{}
	for _, resource := range []kmsg.ACLResourceType{kmsg.ACLResourceTypeTopic, kmsg.ACLResourceTypeTransactionalId} {
		all = append(all, kfake.ACL{
			Resource: resource, Name: "test-", Pattern: kmsg.ACLResourcePatternTypePrefixed,
			Operation: kmsg.ACLOperationAll, Allow: true,
		},
			kfake.ACL{
				Resource: resource, Name: "twochat-connector.", Pattern: kmsg.ACLResourcePatternTypePrefixed,
				Operation: kmsg.ACLOperationAll, Allow: true,
			})
	}
	readOnly := []kfake.ACL{all[2], all[3]}
	for _, operation := range []kmsg.ACLOperation{
		kmsg.ACLOperationRead, kmsg.ACLOperationDescribe,
		kmsg.ACLOperationDescribeConfigs,
	} {
		readOnly = append(readOnly, kfake.ACL{
			Resource: kmsg.ACLResourceTypeTopic, Name: "test-",
			Pattern: kmsg.ACLResourcePatternTypePrefixed, Operation: operation, Allow: true,
		})
	}
	cases := map[string]struct {
		acls []kfake.ACL
		part string
	}{
		"no transactional id": {all[:2], "it may not be written"},
		"read only":           {readOnly, "it may not be written"},
		"everything":          {all, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := lenientFake(t, 1, kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser("PLAIN", "admin", "secret"),
				kfake.User("PLAIN", "connector", "secret", c.acls...))
			config := Config{Topic: newTopic(), SASL: SASL{
				Mechanism: "plain", Username: "admin",
				PasswordFile: writeFile(t, "password", "secret"),
			}}
			createTopics(t, b, config)
			config.SASL.Username = "connector"
			s := openSink(t, b, config, connector.Encoding{})
			defer s.Close()
			claims := []connector.Claim{sinktest.Claim("595981048477", "one")}
			if c.part != "" {
				wantFinding(t, s, claims, connector.FindingRefused, c.part)
				return
			}
			found, err := s.Check(within(t), claims)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range found {
				if f.Level == connector.FindingRefused {
					t.Errorf("refused: %+v", f)
				}
			}
		})
	}
}

// TestProbe recognises Apache Kafka as correct, and the fake, which accepts raising a stale epoch, as an imitation.
func TestProbe(t *testing.T) {
	refused := func(t *testing.T, b *broker) (n int) {
		t.Helper()
		s := openSink(t, b, Config{Topic: newTopic()}, connector.Encoding{})
		defer s.Close()
		found, err := s.Probe(within(t))
		if err != nil {
			t.Fatal(err)
		}
		if len(found) < 7 {
			t.Fatalf("%d findings: %+v", len(found), found)
		}
		for _, f := range found {
			if f.Level != connector.FindingOK {
				n++
				t.Logf("%+v", f)
			}
		}
		left, err := s.client.describe(within(t), s.topics.events+".probe")
		if err == nil && left.ErrorCode == 0 {
			t.Error("the probe left its topic behind")
		}
		return n
	}
	everyBroker(t, func(t *testing.T, b *broker) {
		if n := refused(t, b); n != 0 {
			t.Errorf("%d findings are not ok", n)
		}
	})
	t.Run("look-alike", func(t *testing.T) {
		if n := refused(t, lenientFake(t, 1)); n == 0 {
			t.Error("the look-alike is not found out")
		}
	})
}
