package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

const otherNumber = "+15550100998"

// after is a set-up on what a former instance left behind, with something changed since.
func after(name string, ready bool, change func(s *setup)) agreement {
	return agreement{name, ready, func(s *setup) {
		s.runOnce()
		change(s)
	}}
}

func anotherList(s *setup) { s.change(`"`+twochattest.DefaultNumber+`"`, `"`+otherNumber+`"`) }

func anotherName(s *setup) { s.change("name: support", "name: desk") }

func agreeOnFiles() []agreement {
	overwrite := func(name, content string) func(*setup) {
		return func(s *setup) { s.put(name, content) }
	}
	records := func(s *setup) []string {
		list, err := filepath.Glob(filepath.Join(s.dir, "events.jsonl.checkpoint", "*.json"))
		if err != nil || len(list) == 0 {
			s.t.Errorf("no records: %v", err)
		}
		return list
	}
	return []agreement{
		{"folder that cannot be made", false, func(s *setup) { s.sink = "file: { path: /proc/nowhere/events.jsonl }" }},
		{"folder that is a file", false, func(s *setup) {
			s.sink = "file: { path: " + filepath.Join(s.dir, "key", "events.jsonl") + " }"
		}},
		{"file that is a folder", false, func(s *setup) { s.sink = "file: { path: " + s.dir + " }" }},
		{"file of somebody else's", false, overwrite("events.jsonl", "hello\n")},
		{"checkpoints' folder that is a file", false, overwrite("events.jsonl.checkpoint", "")},
		after("file as it was left", true, func(*setup) {}),
		after("file, other base URL", false, func(s *setup) {
			s.change("127.0.0.1", "localhost")
			s.change("'localhost:0'", "'127.0.0.1:0'")
		}),
		after("file, other list", false, anotherList),
		after("file, other name", false, anotherName),
		after("file, other privacy", false, func(s *setup) { s.change("admin:", "privacy: { identifiers: clear }\nadmin:") }),
		after("file, other privacy accepted", true, func(s *setup) {
			s.change("admin:", "privacy: { identifiers: clear }\nadmin:")
			s.words = []string{"--rekey"}
		}),
		after("file gone", false, func(s *setup) {
			if err := os.Remove(filepath.Join(s.dir, "events.jsonl")); err != nil {
				s.t.Error(err)
			}
		}),
		after("file cut", false, func(s *setup) {
			if err := os.Truncate(filepath.Join(s.dir, "events.jsonl"), 100); err != nil {
				s.t.Error(err)
			}
		}),
		after("no checkpoint", false, func(s *setup) {
			if err := os.Remove(records(s)[0]); err != nil {
				s.t.Error(err)
			}
		}),
		after("no checkpoint, accepted", true, func(s *setup) {
			if err := os.Remove(records(s)[0]); err != nil {
				s.t.Error(err)
			}
			s.words = []string{"--first-start"}
		}),
		after("broken checkpoint", false, func(s *setup) {
			if err := os.WriteFile(records(s)[0], []byte("{}"), 0o600); err != nil {
				s.t.Error(err)
			}
		}),
		{"file in use", false, func(s *setup) {
			holder := *s
			r := holder.command(s.t.Context(), "run", "--config", s.write())
			s.finished = append(s.finished, func() { r.stop(); <-r.ended })
			until(s.t, "the other instance", func() bool { return strings.Contains(r.err.String(), "stream acquired") })
		}},
	}
}

// natsAt runs a NATS server with a configuration, and returns its URL.
func natsAt(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nats.conf")
	text = strings.ReplaceAll(text, "STORE", t.TempDir())
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	options, err := server.ProcessConfigFile(path)
	if err != nil {
		t.Fatal(err)
	}
	options.Host, options.Port, options.NoSigs, options.NoLog = "127.0.0.1", server.RANDOM_PORT, true, true
	s, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the NATS server is not ready")
	}
	return s.ClientURL()
}

func agreeOnNATS(t *testing.T) []agreement {
	plain := natsAt(t, "jetstream { store_dir: STORE }")
	without := natsAt(t, "")
	small := natsAt(t, "jetstream { store_dir: STORE, max_file: 1G }\naccounts { A { users: [{user: a, password: a}], jetstream: "+
		"{ max_file: 20M, max_mem: 1M, max_streams: 1, max_bytes_required: true, disk_max_stream_bytes: 10M } } }\nno_auth_user: a")
	locked := natsAt(t, "jetstream { store_dir: STORE }\nauthorization { token: other }")
	conn, err := natsgo.Connect(plain)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []jetstream.StreamConfig{
		{
			Name: "MEMORY", Subjects: []string{"memory.>", "memory-checkpoint.*", "memory-quarantine.*"},
			Storage: jetstream.MemoryStorage, AllowAtomicPublish: true,
		},
		{Name: "TAKEN", Subjects: []string{"taken.>"}},
		{
			Name: "OLD", Subjects: []string{"old.>", "old-checkpoint.*", "old-quarantine.*"}, AllowAtomicPublish: true,
			MaxMsgs: 10, Discard: jetstream.DiscardOld,
		},
	} {
		if _, err := js.CreateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	sink := func(url, stream, more string) func(*setup) {
		return func(s *setup) {
			s.sink = "jetstream: { url: '" + url + "', stream: " + strings.ToUpper(stream) + ", subject: " + stream + more + " }"
		}
	}
	then := func(first, change func(*setup)) func(*setup) {
		return func(s *setup) { first(s); s.runOnce(); change(s) }
	}
	embedded := func(s *setup) {
		s.sink = "embedded: { listen: '" + clitest.ClosedPort(s.t) + "', dir: " + filepath.Join(s.dir, "data") + " }"
	}
	return []agreement{
		{"NATS without the stream", false, sink(plain, "missing", "")},
		{"NATS, stream to be made", true, sink(plain, "made", ", create: true")},
		{"NATS, subjects of another stream", false, sink(plain, "taken", "2, subject: taken, create: true")},
		{"NATS, replicas on a server by itself", false, sink(plain, "thrice", ", create: true, replicas: 3")},
		{"NATS, age that no server allows", false, sink(plain, "young", ", create: true, max_age: 1ms")},
		{"NATS, stream in memory", false, sink(plain, "memory", "")},
		{"NATS, stream that discards", false, sink(plain, "old", "")},
		{"NATS without JetStream", false, sink(without, "made", ", create: true")},
		{"NATS account wants a limit", false, sink(small, "a", ", create: true")},
		{"NATS account too small", false, sink(small, "b", ", create: true, max_bytes: 50000000")},
		{"NATS wants a token", false, sink(locked, "made", ", create: true")},
		{"NATS token file missing", false, sink(locked, "made", ", create: true, token_file: /nowhere/token")},
		{"NATS not there", false, func(s *setup) { sink("nats://"+clitest.ClosedPort(s.t), "made", "")(s) }},
		{"NATS TLS files missing", false, sink(plain, "made", ", create: true, tls: { ca_file: /nowhere/ca.pem }")},
		{"NATS, other list", false, then(sink(plain, "list", ", create: true"), anotherList)},
		{"NATS, other name", false, then(sink(plain, "name", ", create: true"), anotherName)},
		{"NATS, other base URL", false, then(sink(plain, "base", ", create: true"), func(s *setup) {
			s.change("base_url: http://127.0.0.1", "base_url: http://localhost")
		})},
		{"core NATS", true, func(s *setup) {
			s.sink = "nats: { url: '" + plain + "', subject: core, state: " + filepath.Join(s.dir, "state") + " }"
		}},
		{"core NATS, state in a file", false, func(s *setup) {
			s.sink = "nats: { url: '" + plain + "', subject: core, state: " + filepath.Join(s.dir, "key") + " }"
		}},
		{"embedded", true, embedded},
		{"embedded as it was left", true, then(embedded, func(*setup) {})},
		{"embedded, other list", false, then(embedded, anotherList)},
		{"embedded, address taken", false, func(s *setup) {
			s.sink = "embedded: { listen: '" + strings.TrimPrefix(plain, "nats://") + "', dir: " + filepath.Join(s.dir, "data") +
				" }"
		}},
		{"embedded, folder that cannot be made", false, func(s *setup) {
			s.sink = "embedded: { listen: '" + clitest.ClosedPort(s.t) + "', dir: /proc/nowhere/data }"
		}},
	}
}

// fakeKafka is a Kafka in this process.
func fakeKafka(t *testing.T) (*kfake.Cluster, string) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1),
		kfake.BrokerConfigs(map[string]string{"auto.create.topics.enable": "false"}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster, cluster.ListenAddrs()[0]
}

func agreeOnKafka(t *testing.T) []agreement {
	_, address := fakeKafka(t)
	hidden, hiddenAddress := fakeKafka(t)
	hidden.ControlKey(int16(kmsg.Metadata), func(request kmsg.Request) (kmsg.Response, error, bool) {
		hidden.KeepControl()
		response, ok := request.ResponseKind().(*kmsg.MetadataResponse)
		if !ok {
			return nil, nil, false
		}
		id := "cluster"
		response.ClusterID, response.ControllerID = &id, 0
		response.Brokers = []kmsg.MetadataResponseBroker{{NodeID: 0, Host: "kafka-broker-1.invalid", Port: 9092}}
		asked, ok := request.(*kmsg.MetadataRequest)
		for i := 0; ok && i < len(asked.Topics); i++ {
			topic := kmsg.NewMetadataResponseTopic()
			topic.Topic = asked.Topics[i].Topic
			topic.Partitions = []kmsg.MetadataResponseTopicPartition{{Leader: 0, Replicas: []int32{0}, ISR: []int32{0}}}
			response.Topics = append(response.Topics, topic)
		}
		return response, nil, true
	})
	sink := func(broker, topic, more string) func(*setup) {
		return func(s *setup) {
			s.sink = "kafka: { brokers: ['" + broker + "'], replicas: 1, topic: " + topic + more + " }"
		}
	}
	return []agreement{
		{"Kafka without topics", false, sink(address, "missing", "")},
		{"Kafka, topics to be made", true, sink(address, "made", ", create: true")},
		{"Kafka not there", false, func(s *setup) { sink(clitest.ClosedPort(s.t), "made", ", create: true")(s) }},
		{"Kafka under a name that does not resolve", false, sink(hiddenAddress, "made", ", create: true")},
		{"Kafka, other list", false, func(s *setup) {
			sink(address, "list", ", create: true")(s)
			s.runOnce()
			anotherList(s)
		}},
		{"Kafka, other name", false, func(s *setup) {
			sink(address, "name", ", create: true")(s)
			s.runOnce()
			anotherName(s)
		}},
	}
}
