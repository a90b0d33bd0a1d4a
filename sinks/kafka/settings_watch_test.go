package kafka

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/twochat-connector/twochat-connector/connector"
)

// rightCodes are the errors of Kafka that only a person can fix.
var rightCodes = []struct {
	code       kafkago.Error
	part, hint string
}{
	{
		kafkago.TransactionalIDAuthorizationFailed,
		"transactional id twochat-connector.*: the right to write under it is missing",
		"kafka-acls.sh --bootstrap-server 127.0.0.1:",
	},
	{
		kafkago.TopicAuthorizationFailed, "a right to them is missing",
		"--add --allow-principal User:ANONYMOUS --operation Read",
	},
	{kafkago.ClusterAuthorizationFailed, "the cluster refuses a right", "--cluster"},
	{kafkago.SASLAuthenticationFailed, "the brokers do not accept the credentials", "brokers know this user"},
	{kafkago.UnsupportedSASLMechanism, "sink.kafka.sasl.mechanism", "sasl.enabled.mechanisms"},
	{kafkago.InvalidTransactionTimeout, "sink.kafka.transaction_timeout", "transaction.max.timeout.ms"},
}

// set changes a topic's setting, as an operator does.
func set(t *testing.T, client *kgo.Client, topic, name, value string) {
	t.Helper()
	request := kmsg.NewPtrIncrementalAlterConfigsRequest()
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeTopic, topic
	config := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	config.Name, config.Value = name, kmsg.StringPtr(value)
	resource.Configs = append(resource.Configs, config)
	request.Resources = append(request.Resources, resource)
	answer, err := request.RequestWith(t.Context(), client)
	if err == nil {
		err = kerr.ErrorForCode(answer.Resources[0].ErrorCode)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestSettingsChange changes settings under a running instance: a setting that would be refused at the start is refused
// now, and the stream continues once it is fixed; a setting with a warning, or one that is merely different, is
// reported once.
func TestSettingsChange(t *testing.T) {
	everyBroker(t, func(t *testing.T, b *broker) {
		config := Config{Topic: newTopic()}
		createTopics(t, b, config)
		w := newWriter(t, b, config, "one")
		var told bytes.Buffer
		w.sink.logger = slog.New(slog.NewTextHandler(&told, nil))
		w.sink.watch.once.Do(func() {}) // the test checks by itself
		w.acquire()
		client := admin(t, b)
		look := func(want string) {
			t.Helper()
			told.Reset()
			w.sink.watch.look(within(t))
			if got := told.String(); (want == "") != (got == "") || !strings.Contains(got, want) {
				t.Fatalf("told %q, want %q", got, want)
			}
		}
		look("")
		if err := w.commit(3); err != nil {
			t.Fatal(err)
		}
		set(t, client, config.Topic, "retention.ms", "86400000")
		look("kept for 24h0m0s")
		look("")
		set(t, client, config.Topic+".checkpoints", "unclean.leader.election.enable", "true")
		look("a replica that lags may become leader")
		look("")
		if err := w.commit(3); err != nil {
			t.Fatal(err)
		}
		set(t, client, config.Topic, "cleanup.policy", "compact")
		look("only the newest record of each key would stay")
		wantRefusal(t, w.commit(3), "only the newest record of each key would stay")
		_, err := w.log.Acquire(within(t))
		wantRefusal(t, err, "only the newest record of each key would stay")
		set(t, client, config.Topic, "cleanup.policy", "delete")
		if got := w.acquire(); got != 6 {
			t.Fatalf("goes on from %d, want 6", got)
		}
		if err := w.commit(3); err != nil {
			t.Fatal(err)
		}
		addPartitionsTo(t, b, config.Topic, 9)
		look("9 partitions")
	})
}

// TestOddityIsLookedAt has a commit refused for a reason that settings may have: they are checked soon.
func TestOddityIsLookedAt(t *testing.T) {
	b := fake(t, 1)
	config := Config{Topic: newTopic()}
	createTopics(t, b, config)
	w := newWriter(t, b, config, "one")
	w.sink.watch.once.Do(func() {})
	w.acquire()
	if err := w.log.(*log).nothing(t.Context(), kafkago.NotEnoughReplicas); outcomeOf(err) != notNow {
		t.Fatal(err)
	}
	select {
	case <-w.sink.watch.woken:
	default:
		t.Error("the settings are not looked at")
	}
	var _ connector.Log = w.log
}
