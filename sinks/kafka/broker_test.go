package kafka

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// brokerVariable selects a real Kafka for the tests: a version that .ci/kafka/kafka.sh downloads, or a folder with its
// jars.
const brokerVariable = "TWOCHAT_CONNECTOR_TEST_KAFKA"

// broker is a Kafka that a test writes to.
type broker struct {
	address string
	script  func(t testing.TB, command string) // stop, kill, pause, resume, start; nil for the fake
	fake    *kfake.Cluster
}

// shared is the one real broker of the test process.
type shared struct {
	once   sync.Once
	folder string
	broker *broker
	err    error
}

var realBroker shared

const kafkaScript = "../../.ci/kafka/kafka.sh"

// real returns the real broker, or nil if none was requested.
func (s *shared) real(t testing.TB) *broker {
	t.Helper()
	jars := os.Getenv(brokerVariable)
	if jars == "" {
		return nil
	}
	s.once.Do(func() { s.err = s.start(t, jars) })
	if s.err != nil {
		t.Fatalf("%s=%s, but there is no broker: %v", brokerVariable, jars, s.err)
	}
	return s.broker
}

func (s *shared) start(t testing.TB, jars string) error {
	version, err := exec.Command(kafkaScript, "version", jars).Output()
	if err != nil {
		return fmt.Errorf("kafka.sh version: %w", err)
	}
	if s.folder, err = os.MkdirTemp("", "kafka-test-"); err != nil {
		return err
	}
	port := sinktest.FreePorts(t, 2)
	run := func(args ...string) error {
		if out, err := exec.Command(kafkaScript, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("kafka.sh %s: %w: %s", args[0], err, out)
		}
		return nil
	}
	start := []string{"start", jars, s.folder, fmt.Sprint(port)}
	if err := run(start...); err != nil {
		return err
	}
	s.broker = &broker{address: fmt.Sprintf("127.0.0.1:%d", port), script: func(t testing.TB, command string) {
		t.Helper()
		args := []string{command, s.folder}
		if command == "start" {
			args = start
		}
		if err := run(args...); err != nil {
			t.Fatal(err)
		}
	}}
	if err := s.broker.reach(); err != nil {
		return err
	}
	fmt.Printf("tested against Apache Kafka %s at %s\n", strings.TrimSpace(string(version)), s.broker.address)
	return nil
}

// remove stops the broker and removes its data.
func (s *shared) remove() {
	if s.folder == "" {
		return
	}
	if out, err := exec.Command(kafkaScript, "kill", s.folder).CombinedOutput(); err != nil {
		fmt.Printf("kafka.sh kill: %v: %s\n", err, out)
	}
	if err := os.RemoveAll(s.folder); err != nil {
		fmt.Println(err)
	}
}

func (b *broker) reach() error {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.address))
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		if err = client.Ping(ctx); err == nil {
			return nil
		}
		if connector.Sleep(ctx, 50*time.Millisecond) != nil {
			return fmt.Errorf("no answer: %w", err)
		}
	}
}

// secured starts a real broker of its own with listeners of which one is open, and one authenticates. So does the third,
// over TLS, with a certificate of the authority.
func secured(t *testing.T, a *authority) (open, closed, encrypted *broker) {
	t.Helper()
	cert, _, _, private := a.sign("broker")
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	oneLine := func(pem []byte) string { return strings.ReplaceAll(string(pem), "\n", `\n`) }
	jars, folder := os.Getenv(brokerVariable), t.TempDir()
	port, other, third := sinktest.FreePorts(t, 2), sinktest.FreePorts(t, 1), sinktest.FreePorts(t, 1)
	secure := fmt.Sprintf("SASL_PLAINTEXT://127.0.0.1:%d,SASL_SSL://127.0.0.1:%d\n", other, third)
	settings := fmt.Sprintf("listeners=PLAINTEXT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d,%s", port, port+1, secure) +
		fmt.Sprintf("advertised.listeners=PLAINTEXT://127.0.0.1:%d,%s", port, secure) +
		"listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL\n" +
		"sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER\n" +
		"listener.name.sasl_ssl.ssl.keystore.type=PEM\n" +
		"listener.name.sasl_ssl.ssl.keystore.certificate.chain=" + oneLine([]byte(cert)) + "\n" +
		"listener.name.sasl_ssl.ssl.keystore.key=" +
		oneLine(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})) + "\n"
	const modules = "jaas.config=org.apache.kafka.common.security."
	for _, listener := range []string{"listener.name.sasl_plaintext.", "listener.name.sasl_ssl."} {
		settings += listener + "plain.sasl." + modules + `plain.PlainLoginModule required user_connector="right";` + "\n" +
			listener + "scram-sha-256.sasl." + modules + "scram.ScramLoginModule required;\n" +
			listener + "scram-sha-512.sasl." + modules + "scram.ScramLoginModule required;\n" +
			listener + "oauthbearer.sasl." + modules +
			`oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";` + "\n"
	}
	if err := os.WriteFile(filepath.Join(folder, "extra.properties"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(kafkaScript, "start", jars, folder, fmt.Sprint(port)).CombinedOutput(); err != nil {
		t.Fatalf("kafka.sh start: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command(kafkaScript, "kill", folder).CombinedOutput(); err != nil {
			t.Errorf("kafka.sh kill: %v: %s", err, out)
		}
	})
	open = &broker{address: fmt.Sprintf("127.0.0.1:%d", port)}
	if err := open.reach(); err != nil {
		t.Fatal(err)
	}
	return open, &broker{address: fmt.Sprintf("127.0.0.1:%d", other)}, &broker{address: fmt.Sprintf("127.0.0.1:%d", third)}
}

// fake makes an in-process Kafka of some brokers.
func fake(t testing.TB, brokers int, options ...kfake.Opt) *broker {
	t.Helper()
	b := lenientFake(t, brokers, options...)
	refuseStaleEpochs(b.fake)
	return b
}

// lenientFake is the unmodified fake.
func lenientFake(t testing.TB, brokers int, options ...kfake.Opt) *broker {
	t.Helper()
	options = append([]kfake.Opt{
		kfake.NumBrokers(brokers),
		kfake.BrokerConfigs(map[string]string{
			"auto.create.topics.enable":  "false",
			"default.replication.factor": fmt.Sprint(min(3, brokers)),
		}),
	}, options...)
	cluster, err := kfake.NewCluster(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return &broker{address: cluster.ListenAddrs()[0], fake: cluster}
}

// everyBroker runs a test against the fake and, if requested, the real Kafka.
func everyBroker(t *testing.T, test func(t *testing.T, b *broker)) {
	t.Run("fake", func(t *testing.T) { test(t, fake(t, 1)) })
	if b := realBroker.real(t); b != nil {
		t.Run("real", func(t *testing.T) { test(t, b) })
	}
}

var topicNumber atomic.Int64

// newTopic returns a name that no other test uses.
func newTopic() string {
	return fmt.Sprintf("test-%d-%d.messages", os.Getpid(), topicNumber.Add(1))
}

// refuseStaleEpochs corrects the fake: it accepts raising an epoch that is no longer the newest, which Kafka refuses as
// fenced. Like Kafka, it answers a repetition of the last raise with the same epoch.
func refuseStaleEpochs(cluster *kfake.Cluster) {
	type state struct {
		epoch  int16
		raised bool // by the last request, from epoch - 1
	}
	known := make(map[string]state) // only the cluster's single goroutine calls the control
	cluster.ControlKey(int16(kmsg.InitProducerID), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		request := r.(*kmsg.InitProducerIDRequest)
		if request.TransactionalID == nil {
			return nil, nil, false
		}
		held, ok := known[*request.TransactionalID]
		if request.ProducerEpoch < 0 {
			if ok {
				held.epoch++
			}
			known[*request.TransactionalID] = state{epoch: held.epoch}
			return nil, nil, false
		}
		answer := request.ResponseKind().(*kmsg.InitProducerIDResponse)
		switch {
		case request.ProducerEpoch == held.epoch:
			known[*request.TransactionalID] = state{epoch: held.epoch + 1, raised: true}
			return nil, nil, false
		case held.raised && request.ProducerEpoch == held.epoch-1:
			answer.ProducerID, answer.ProducerEpoch = request.ProducerID, held.epoch
		default:
			answer.ErrorCode = kerr.ProducerFenced.Code
		}
		return answer, nil, true
	})
}
