package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"gopkg.in/yaml.v3"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// realKafkaVariable names a real Kafka, as in the tests of sinks/kafka.
const realKafkaVariable = "TWOCHAT_CONNECTOR_TEST_KAFKA"

// strimzi is an object in the example for operators who use Strimzi.
type strimzi struct {
	Kind     string
	Metadata struct{ Name string }
	Spec     struct {
		Partitions    int32
		Config        map[string]string
		Authorization struct {
			ACLs []struct {
				Resource struct {
					Type, Name string
					Pattern    string `yaml:"patternType"`
				}
				Operations []string
			} `yaml:"acls"`
		}
	}
}

func strimziExample(t *testing.T) (topics []strimzi, user strimzi) {
	t.Helper()
	file, err := os.Open("../../deploy/kubernetes/examples/strimzi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for decoder := yaml.NewDecoder(file); ; {
		var object strimzi
		switch err := decoder.Decode(&object); {
		case errors.Is(err, io.EOF):
			return topics, user
		case err != nil:
			t.Fatal(err)
		case object.Kind == "KafkaTopic":
			topics = append(topics, object)
		case object.Kind == "KafkaUser":
			user = object
		}
	}
}

// authorizingKafka is a real broker on which a user has only the rights that were granted. It has one listener for
// that user, with a password, and one for an administrator.
type authorizingKafka struct {
	closed string // address with a password
	user   string
	admin  *kgo.Client
}

func startAuthorizingKafka(t *testing.T, jars, user string) *authorizingKafka {
	t.Helper()
	const script = "../../.ci/kafka/kafka.sh"
	folder, port, closed := t.TempDir(), sinktest.FreePorts(t, 2), sinktest.FreePorts(t, 1)
	settings := fmt.Sprintf("listeners=PLAINTEXT://127.0.0.1:%[1]d,CONTROLLER://127.0.0.1:%[2]d,SASL_PLAINTEXT://127.0.0.1:%[3]d\n"+
		"advertised.listeners=PLAINTEXT://127.0.0.1:%[1]d,SASL_PLAINTEXT://127.0.0.1:%[3]d\n"+
		"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\nsuper.users=User:ANONYMOUS\n"+
		"sasl.enabled.mechanisms=PLAIN\n"+
		"listener.name.sasl_plaintext.plain.sasl.jaas.config="+
		"org.apache.kafka.common.security.plain.PlainLoginModule required \"user_%[4]s\"=\"secret\";\n", port, port+1, closed,
		user)
	if err := os.WriteFile(filepath.Join(folder, "extra.properties"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), script, "start", jars, folder,
		strconv.Itoa(port)).CombinedOutput(); err != nil {
		t.Fatalf("kafka.sh start: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command(script, "kill", folder).CombinedOutput(); err != nil {
			t.Errorf("kafka.sh kill: %v: %s", err, out)
		}
	})
	admin, err := kgo.NewClient(kgo.SeedBrokers(fmt.Sprintf("127.0.0.1:%d", port)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)
	k := &authorizingKafka{closed: fmt.Sprintf("127.0.0.1:%d", closed), user: user, admin: admin}
	until(t, "Kafka answers", func() bool { return admin.Ping(t.Context()) == nil })
	return k
}

// makeTopics creates the topics of the example, with one replica, because a single broker has no more.
func (k *authorizingKafka) makeTopics(t *testing.T, topics []strimzi) {
	t.Helper()
	request := kmsg.NewPtrCreateTopicsRequest()
	for _, topic := range topics {
		wanted := kmsg.NewCreateTopicsRequestTopic()
		wanted.Topic, wanted.NumPartitions, wanted.ReplicationFactor = topic.Metadata.Name, topic.Spec.Partitions, 1
		for name, value := range topic.Spec.Config {
			if name == "min.insync.replicas" {
				continue
			}
			setting := kmsg.NewCreateTopicsRequestTopicConfig()
			setting.Name, setting.Value = name, kmsg.StringPtr(value)
			wanted.Configs = append(wanted.Configs, setting)
		}
		request.Topics = append(request.Topics, wanted)
	}
	answer, err := request.RequestWith(t.Context(), k.admin)
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range answer.Topics {
		if err := kerr.ErrorForCode(topic.ErrorCode); err != nil {
			t.Fatalf("%s: %v", topic.Topic, err)
		}
	}
}

// right is one operation on the resources with a prefix.
type right struct{ resource, prefix, operation string }

func (r right) String() string { return r.operation + " on " + r.resource + " " + r.prefix }

func rightsOf(t *testing.T, user strimzi) []right {
	t.Helper()
	var rights []right
	for _, acl := range user.Spec.Authorization.ACLs {
		if acl.Resource.Pattern != "prefix" {
			t.Fatalf("%s: its pattern is %q", acl.Resource.Name, acl.Resource.Pattern)
		}
		for _, operation := range acl.Operations {
			rights = append(rights, right{acl.Resource.Type, acl.Resource.Name, operation})
		}
	}
	return rights
}

func (r right) codes(t *testing.T) (kmsg.ACLResourceType, kmsg.ACLOperation) {
	t.Helper()
	resource, err := kmsg.ParseACLResourceType(r.resource)
	if err != nil {
		t.Fatal(err)
	}
	operation, err := kmsg.ParseACLOperation(r.operation)
	if err != nil {
		t.Fatal(err)
	}
	return resource, operation
}

func (k *authorizingKafka) grant(t *testing.T, rights ...right) {
	t.Helper()
	request := kmsg.NewPtrCreateACLsRequest()
	for _, r := range rights {
		creation := kmsg.NewCreateACLsRequestCreation()
		creation.ResourceType, creation.Operation = r.codes(t)
		creation.ResourceName, creation.ResourcePatternType = r.prefix, kmsg.ACLResourcePatternTypePrefixed
		creation.Principal, creation.Host, creation.PermissionType = "User:"+k.user, "*", kmsg.ACLPermissionTypeAllow
		request.Creations = append(request.Creations, creation)
	}
	answer, err := request.RequestWith(t.Context(), k.admin)
	if err != nil {
		t.Fatal(err)
	}
	for i, result := range answer.Results {
		if err := kerr.ErrorForCode(result.ErrorCode); err != nil {
			t.Fatalf("grant %v: %v", rights[i], err)
		}
	}
}

func (k *authorizingKafka) revoke(t *testing.T, r right) {
	t.Helper()
	request, filter := kmsg.NewPtrDeleteACLsRequest(), kmsg.NewDeleteACLsRequestFilter()
	filter.ResourceType, filter.Operation = r.codes(t)
	filter.ResourceName, filter.ResourcePatternType = kmsg.StringPtr(r.prefix), kmsg.ACLResourcePatternTypePrefixed
	filter.PermissionType = kmsg.ACLPermissionTypeAllow
	request.Filters = append(request.Filters, filter)
	answer, err := request.RequestWith(t.Context(), k.admin)
	if err != nil || len(answer.Results) != 1 || len(answer.Results[0].MatchingACLs) != 1 {
		t.Fatalf("revoke %v: %v %+v", r, err, answer)
	}
}

// With the topics and rights of the Strimzi example, and no others, everything works. Without any one of them
// something fails, and the message names it and how to fix it.
func TestKafkaRights(t *testing.T) {
	jars := os.Getenv(realKafkaVariable)
	if jars == "" {
		t.Skip("it needs a real Kafka: set " + realKafkaVariable + " to a version, such as 4.1.0, or a folder with its jars")
	}
	topics, user := strimziExample(t)
	k := startAuthorizingKafka(t, jars, user.Metadata.Name)
	k.makeTopics(t, topics)
	rights := rightsOf(t, user)
	k.grant(t, rights...) // takes effect a moment later: see wantCheck
	fake, api := fakeAPI(t, twochattest.Options{History: 120})
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := configure(t, api, fmt.Sprintf(
		"kafka: { brokers: ['%s'], topic: %s, sasl: { mechanism: plain, username: %s, password_file: %s } }",
		k.closed, topics[0].Metadata.Name, user.Metadata.Name, password))
	for _, events := range []int{120, 150} { // the second time from the checkpoint
		wantCheck(t, path, cli.ExitFine, "6 partitions")
		if said := runUntil(t, path, events); strings.Contains(said, "AUTHORIZATION") {
			t.Errorf("run says: %s", said)
		}
		tail := start(t, "tail", "--json", "--last", "10", "--config", path)
		until(t, "tail", func() bool { return strings.Count(tail.out.String(), "\n") == 10 || tail.over() })
		wantCode(t, tail.end(), cli.ExitFine)
		fake.Insert("", 30)
	}
	table := map[string]struct {
		code  int // exit code of check, and of run
		texts []string
	}{
		"Read on topic whatsapp.messages": {cli.ExitWrong, []string{
			"topics whatsapp.messages*: a right to them is missing",
			"--operation Read",
		}},
		"Write on topic whatsapp.messages": {cli.ExitWrong, []string{
			"topics whatsapp.messages*: a right to them is missing",
			"--operation Write",
		}},
		"DescribeConfigs on topic whatsapp.messages": {cli.ExitFine, []string{
			"topic whatsapp.messages.checkpoints: its settings cannot be read",
			"--operation DescribeConfigs --topic whatsapp.messages.checkpoints",
		}},
		"Write on transactionalId twochat-connector.": {cli.ExitWrong, []string{
			"transactional id twochat-connector.*: the right to write under it is missing",
			"--operation Write --operation Describe --transactional-id twochat-connector.",
		}},
		"Read on group twochat-connector.": {cli.ExitFine, []string{
			"group twochat-connector.whatsapp.messages.members: the right to take part in it is missing",
			"--operation Read --operation Describe --group twochat-connector. --resource-pattern-type prefixed",
		}},
	}
	for _, r := range rights {
		t.Run(r.String(), func(t *testing.T) {
			want, ok := table[r.String()]
			if !ok {
				t.Fatal("nobody says what is told without it")
			}
			k.revoke(t, r)
			defer k.grant(t, r)
			wantCheck(t, path, want.code, append(want.texts, "--allow-principal User:"+k.user)...)
			if want.code == cli.ExitFine {
				return // no command waits for it
			}
			code, _, errOut := finish(t, "run", "--config", path)
			wantCode(t, code, cli.ExitFailed)
			clitest.WantText(t, "run", errOut, want.texts...)
		})
	}
}

// wantCheck waits until check exits with a code and its output contains all texts. Rights that are granted or revoked
// take effect a moment later.
func wantCheck(t *testing.T, path string, code int, texts ...string) {
	t.Helper()
	until(t, fmt.Sprintf("check ends with %d and says %q", code, texts), func() bool {
		ended, out, _ := finish(t, "check", "--config", path)
		return ended == code && !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(out, text) })
	})
}
