package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/poller"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// secretMode is a way to write chats, and what it promises about the quarantine.
type secretMode struct {
	name, privacy string
	keepsRaw      bool // the quarantine keeps rejected items unchanged
}

const canaryPseudonyms = "PSEUDONYMS-0123456789abcdef0123456789abcdef"

func secretModes(key string) []secretMode {
	return []secretMode{
		{"hashed", "{ identifiers: hashed }", true},
		{"clear", "{ identifiers: clear }", true},
		{"pseudonymous", "{ identifiers: pseudonymous, key_file: " + key + " }", false},
		{"dropping", "{ identifiers: hashed, drop: [text, media, quoted, names] }", false},
	}
}

const canaryHistory = 60

// canary is a connector whose every output is searched for what nobody may see.
type canary struct {
	*setup
	fake  *twochattest.Fake
	mode  secretMode
	admin string
	r     *running
	shown strings.Builder
	// listed counts the good messages.
	listed int
}

// eachSecret runs a test for each privacy mode at each log level, some in parallel.
func eachSecret(t *testing.T, sink string, test func(c *canary, turn int)) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes most of a minute, in which it waits")
	}
	key := filepath.Join(t.TempDir(), "pseudonyms")
	if err := os.WriteFile(key, []byte(canaryPseudonyms), 0o400); err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	slots := make(chan struct{}, 16) // they mostly wait for time-outs
	turn := 0
	for _, mode := range secretModes(key) {
		for _, level := range []string{"debug", "info", "warn", "error"} {
			fake, url := fakeAPI(t, twochattest.Options{Seed: 50 + uint64(turn), History: canaryHistory})
			for _, kind := range twochattest.Poisons() {
				fake.Poison("", kind)
			}
			c := &canary{
				setup: &setup{t: t, dir: t.TempDir(), api: url, sink: sink}, fake: fake, mode: mode,
				admin: clitest.ClosedPort(t), listed: canaryHistory,
			}
			c.put("key", testKey)
			c.change("127.0.0.1:0", c.admin)
			c.change("timeout: 1s", "timeout: 3s")
			c.text += "log: { level: " + level + ", format: json }\nprivacy: " + mode.privacy + "\n"
			now := turn
			turn++
			wait.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				test(c, now)
				c.end()
				c.verify(mode.name + ", " + level)
			})
		}
	}
	wait.Wait()
}

func (c *canary) begin(words ...string) {
	c.r = c.command(c.t.Context(), append([]string{"run", "--config", c.write()}, words...)...)
}

// end stops the connector and keeps what it printed.
func (c *canary) end() {
	if c.r == nil {
		return
	}
	c.look()
	c.r.stop()
	<-c.r.ended
	c.shown.WriteString(c.r.out.String() + c.r.err.String())
	c.r = nil
}

// look keeps what the admin server shows and what status prints.
func (c *canary) look() {
	for _, place := range []string{"/metrics", "/status", "/", "/readyz"} {
		if body, err := tryGet("http://" + c.admin + place); err == nil {
			c.shown.WriteString(body)
		}
	}
	status := c.command(c.t.Context(), "status", "--admin", c.admin)
	<-status.ended
	c.shown.WriteString(status.out.String() + status.err.String())
}

// until waits for the stream's report to be as wanted. A failure shows the last report.
func (c *canary) until(what string, is func(s pipeline.StreamReport, body string) bool) bool {
	deadline := time.NewTimer(40 * time.Second)
	defer deadline.Stop()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	body := ""
	for {
		var r pipeline.Report
		if b, err := tryGet("http://" + c.admin + "/status"); err == nil {
			body = b
			if json.Unmarshal([]byte(body), &r) == nil && len(r.Streams) == 1 && is(r.Streams[0], body) {
				return true
			}
		}
		select {
		case <-ticker.C:
		case <-deadline.C:
			c.t.Errorf("waited in vain for %s: %s", what, body)
			return false
		case <-c.r.ended:
			if is(pipeline.StreamReport{}, "") { // matches a report of a stream that was never seen
				return true
			}
			c.t.Errorf("it ended, instead of %s: %s", what, c.r.err.String())
			return false
		}
	}
}

// rested reports whether everything that is listed is delivered.
func (c *canary) rested() bool {
	return c.until("all to be delivered", func(s pipeline.StreamReport, _ string) bool {
		return s.State == poller.StateLive && int(s.Sequence) >= c.listed
	})
}

func (c *canary) insert(count int) {
	c.fake.Insert("", count)
	c.listed += count
}

// forbidden is what nobody may see.
func (c *canary) forbidden() map[string]bool {
	forbidden := map[string]bool{
		testKey: true, strings.TrimPrefix(twochattest.DefaultNumber, "+"): true,
		"PSEUDONYMS-": true,
	}
	for _, m := range c.fake.Truth("") {
		var item any
		if json.Unmarshal(m.Data(), &item) == nil {
			personal(forbidden, item)
		}
	}
	return forbidden
}

func (c *canary) verify(name string) {
	forbidden := c.forbidden()
	if len(forbidden) < 30 {
		c.t.Errorf("%s: only %d canaries", name, len(forbidden))
	}
	c.without(name, c.shown.String(), forbidden)
}

func (c *canary) without(name, text string, forbidden map[string]bool) {
	for word := range maps.Keys(forbidden) {
		if at := strings.Index(text, word); at >= 0 {
			c.t.Errorf("%s: %q is shown: %s", name, word, text[max(0, at-200):min(len(text), at+200)])
			return
		}
	}
}

// broker is a NATS server that may be stopped, and started again at the same address.
type broker struct {
	t       *testing.T
	options server.Options
	running *server.Server
}

func newBroker(t *testing.T, address, dir string) *broker {
	_, port, _ := strings.Cut(address, ":")
	b := &broker{t: t, options: server.Options{
		Host: "127.0.0.1", NoSigs: true, NoLog: true, JetStream: true,
		StoreDir: dir,
	}}
	if _, err := fmt.Sscan(port, &b.options.Port); err != nil {
		t.Error(err)
	}
	return b
}

func (b *broker) start(token string) {
	options := b.options
	options.Authorization = token
	running, err := server.NewServer(&options)
	if err != nil {
		b.t.Error(err)
		return
	}
	running.Start()
	if b.running = running; !running.ReadyForConnections(time.Minute) {
		b.t.Error("the NATS server is not ready")
	}
}

func (b *broker) kill() {
	if b.running != nil {
		b.running.Shutdown()
		b.running.WaitForShutdown()
		b.running = nil
	}
}

// If a broker is missing, dies, refuses the user, or remembers what was purged, no number, chat, text or key appears
// in any output, in any privacy mode, at any log level. The quarantine keeps nothing that the mode withholds.
func TestCanary_NATS(t *testing.T) {
	eachSecret(t, "jetstream: { url: 'nats://ADDRESS', create: true }", func(c *canary, _ int) {
		address := clitest.ClosedPort(c.t)
		c.change("ADDRESS", address)
		b := newBroker(c.t, address, filepath.Join(c.dir, "js"))
		defer b.kill()
		c.begin()
		c.until("the broker to be missed", func(_ pipeline.StreamReport, body string) bool {
			return strings.Contains(body,
				"no servers available")
		})
		c.look()
		b.start("")
		if !c.rested() {
			return
		}
		b.kill()
		c.insert(3)
		c.until("the broker's death to be noticed", func(s pipeline.StreamReport,
			_ string,
		) bool {
			return s.State == poller.StateNoSink
		})
		c.look()
		b.start("another")
		refused := time.NewTicker(50 * time.Millisecond)
		defer refused.Stop()
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-refused.C {
			if v, err := b.running.Varz(nil); err == nil && v.TotalConnections > 1 {
				break
			}
		}
		c.look()
		b.kill()
		b.start("")
		if !c.rested() {
			return
		}
		c.end()
		c.quarantine(address)
		c.begin("--first-start=1000")
		c.until("remembered ids", func(_ pipeline.StreamReport, body string) bool { return strings.Contains(body, "10201") })
		check := c.command(c.t.Context(), "check", "--config", filepath.Join(c.dir, "config.yaml"), "--first-start=1000")
		<-check.ended
		c.shown.WriteString(check.out.String() + check.err.String())
	})
}

// quarantine checks what was put into the quarantine, and purges the stream.
func (c *canary) quarantine(address string) {
	conn, err := natsgo.Connect("nats://" + address)
	if err != nil {
		c.t.Error(err)
		return
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		c.t.Error(err)
		return
	}
	stream, err := js.Stream(c.t.Context(), "WHATSAPP")
	if err != nil {
		c.t.Error(err)
		return
	}
	var aside strings.Builder
	rejects := 0
	for sequence := uint64(1); sequence <= stream.CachedInfo().State.LastSeq; sequence++ {
		if m, err := stream.GetMsg(c.t.Context(), sequence); err == nil && strings.HasPrefix(m.Subject,
			"whatsapp-quarantine.") {
			aside.Write(m.Data)
			rejects++
		}
	}
	if rejects == 0 {
		c.t.Errorf("%s: nothing was put aside", c.mode.name)
	}
	if keeps := regexp.MustCompile(`"raw":"[^"]`).MatchString(aside.String()); keeps != c.mode.keepsRaw {
		c.t.Errorf("%s: the quarantine keeps raw bytes: %t", c.mode.name, keeps)
	}
	if !c.mode.keepsRaw {
		c.without(c.mode.name+", quarantine", aside.String(), c.forbidden())
	}
	if err := stream.Purge(c.t.Context()); err != nil {
		c.t.Error(err)
	}
}

// mishaps are answers of Kafka that the sink knows, each to a kind of request.
type mishap struct {
	key  kmsg.Key
	code int16
	last bool // it takes long to recover, or does not
}

func mishaps() []mishap {
	var list []mishap
	for _, code := range []kafkago.Error{
		kafkago.ConcurrentTransactions, kafkago.GroupLoadInProgress, kafkago.GroupCoordinatorNotAvailable,
		kafkago.NotCoordinatorForGroup,
		kafkago.NotLeaderForPartition, kafkago.LeaderNotAvailable, kafkago.OffsetNotAvailable, kafkago.UnknownLeaderEpoch,
		kafkago.FencedLeaderEpoch,
		kafkago.UnknownTopicOrPartition, kafkago.KafkaStorageError, kafkago.BrokerNotAvailable, kafkago.ReplicaNotAvailable,
		kafkago.NetworkException,
		kafkago.RequestTimedOut, kafkago.NotEnoughReplicas, kafkago.NotEnoughReplicasAfterAppend, kafkago.NotController,
		kafkago.Unknown,
		kafkago.ThrottlingQuotaExceeded, kafkago.TransactionCoordinatorFenced, kafkago.InvalidProducerIDMapping,
		kafkago.InvalidTransactionState,
		kafkago.MessageSizeTooLarge, kafkago.RecordListTooLarge,
	} {
		list = append(list, mishap{kmsg.Produce, int16(code), false}, mishap{kmsg.EndTxn, int16(code), false})
	}
	for _, code := range []kafkago.Error{
		kafkago.ProducerFenced, kafkago.InvalidProducerEpoch, kafkago.TransactionalIDAuthorizationFailed,
		kafkago.TopicAuthorizationFailed,
		kafkago.ClusterAuthorizationFailed, kafkago.InvalidTransactionTimeout, kafkago.SASLAuthenticationFailed,
		kafkago.UnsupportedSASLMechanism,
	} {
		list = append(list, mishap{kmsg.InitProducerID, int16(code), true}, mishap{kmsg.Produce, int16(code), true})
	}
	return list
}

// refuse answers the next request of a kind with a code, and records in met that it did.
func (m mishap) refuse(cluster *kfake.Cluster, met *atomic.Bool) {
	cluster.ControlKey(int16(m.key), func(request kmsg.Request) (kmsg.Response, error, bool) {
		met.Store(true)
		switch response := request.ResponseKind().(type) {
		case *kmsg.InitProducerIDResponse:
			response.ErrorCode = m.code
			return response, nil, true
		case *kmsg.EndTxnResponse:
			response.ErrorCode = m.code
			return response, nil, true
		case *kmsg.ProduceResponse:
			asked, _ := request.(*kmsg.ProduceRequest)
			for _, topic := range asked.Topics {
				answer := kmsg.NewProduceResponseTopic()
				answer.Topic, answer.TopicID = topic.Topic, topic.TopicID
				for _, partition := range topic.Partitions {
					one := kmsg.NewProduceResponseTopicPartition()
					one.Partition, one.ErrorCode = partition.Partition, m.code
					answer.Partitions = append(answer.Partitions, one)
				}
				response.Topics = append(response.Topics, answer)
			}
			return response, nil, true
		}
		return nil, nil, false
	})
}

// canaryEvery is for the gate, because it takes minutes.
var canaryEvery = flag.Bool("canary", false, "meet each answer of Kafka in each privacy mode at each level of the log")

// As TestCanary_NATS, with each answer of Kafka.
func TestCanary_Kafka(t *testing.T) {
	var passing, lasting []mishap
	for _, m := range mishaps() {
		if m.last {
			lasting = append(lasting, m)
		} else {
			passing = append(passing, m)
		}
	}
	const turns = 16
	if len(lasting) != turns {
		t.Fatalf("%d answers that last, for %d turns", len(lasting), turns)
	}
	eachSecret(t, "kafka: { brokers: ['ADDRESS'], topic: whatsapp.messages, replicas: 1, create: true }", func(c *canary,
		turn int,
	) {
		cluster, address := fakeKafka(c.t)
		c.change("ADDRESS", address)
		c.begin()
		if !c.rested() {
			return
		}
		for i, m := range slices.Concat(passing, lasting) {
			if !*canaryEvery && (i%turns != turn && !m.last || m.last && m != lasting[turn]) {
				continue
			}
			if m.key == kmsg.InitProducerID && c.r != nil { // it is requested when the log is taken over
				c.end()
			}
			var met atomic.Bool
			m.refuse(cluster, &met)
			c.insert(1)
			if c.r == nil {
				c.begin()
			}
			c.until(fmt.Sprintf("error %d to key %d", m.code, m.key), func(pipeline.StreamReport, string) bool {
				return met.Load()
			})
			if m.code == int16(kafkago.MessageSizeTooLarge) || m.code == int16(kafkago.RecordListTooLarge) {
				c.listed-- // it goes to the quarantine
			}
			c.look()
			if m.last && *canaryEvery { // a new start recovers from what takes long
				c.end()
				c.begin()
			}
			if (!m.last || *canaryEvery) && !c.rested() {
				return
			}
		}
	})
}

// As TestCanary_NATS, with everything that 2Chat may answer, and with an API key that cannot be read in between.
func TestCanary_API(t *testing.T) {
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	eachSecret(t, "file: { path: FOLDER/events.jsonl }", func(c *canary, _ int) {
		// net/http prints unexpected bytes through the standard logger. One of the parallel runs captures it.
		c.hear = log.SetOutput
		c.change("FOLDER", c.dir)
		c.fake.SetFaults(everyFault(.3))
		c.begin()
		c.until("faults", func(pipeline.StreamReport, string) bool {
			return c.fake.Requests() > 15 && len(c.fake.Faults()) > 3
		})
		c.look()
		c.fake.SetFaults(nil)
		c.put("key", "")
		c.until("the key to be missed", func(s pipeline.StreamReport, _ string) bool { return s.Fault == connector.FaultKey })
		c.look()
		c.put("key", testKey)
		c.rested()
	})
}
