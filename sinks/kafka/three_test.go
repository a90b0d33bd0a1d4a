package kafka

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// clusterVariable selects the Kafka for the tests on a cluster of three, as brokerVariable does for one broker.
const clusterVariable = "TWOCHAT_CONNECTOR_TEST_KAFKA3"

// trio is three real brokers and their controller. Each broker reaches the controller through a relay of its own. A
// broker whose relay is cut is dead to the controller, which elects other leaders; the broker does not learn of it, and
// continues to answer.
type trio struct {
	folder, jars string
	brokers      [3]*exec.Cmd
	addresses    [3]string
	controller   *exec.Cmd
	relays       [3]*relay
}

// startTrio starts the cluster; the test is skipped if none was requested or none is available.
func startTrio(t *testing.T) *trio {
	t.Helper()
	version := os.Getenv(clusterVariable)
	if version == "" {
		t.Skipf("%s is not set: nothing is tested against a cluster of three real brokers (set it to a version like 4.1.0, or to a folder with its jars)", clusterVariable)
	}
	for _, program := range []string{"java", "mvn"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("a cluster of three real brokers needs %s, which is not here", program)
		}
	}
	jars := version
	if info, err := os.Stat(version); err != nil || !info.IsDir() {
		out, err := exec.Command(kafkaScript, "fetch", version).Output()
		if err != nil {
			t.Fatalf("kafka.sh fetch %s: %v", version, err)
		}
		jars = strings.TrimSpace(string(out))
	}
	c := &trio{folder: t.TempDir(), jars: jars}
	t.Cleanup(func() { c.stop(t) })
	c.start(t)
	return c
}

func (c *trio) start(t *testing.T) {
	t.Helper()
	var ports [4]int
	for i := range ports {
		ports[i] = sinktest.FreePorts(t, 2)
	}
	const common = `controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
transaction.state.log.num.partitions=6
auto.create.topics.enable=false
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
group.initial.rebalance.delay.ms=0
`
	c.format(t, "controller", common+fmt.Sprintf(
		"process.roles=controller\nnode.id=4\nlisteners=CONTROLLER://127.0.0.1:%d\ncontroller.quorum.voters=4@127.0.0.1:%d\n",
		ports[3], ports[3]))
	c.controller = c.run(t, "controller")
	for i := range c.brokers {
		c.relays[i] = newRelay(t, fmt.Sprintf("127.0.0.1:%d", ports[3]))
		c.addresses[i] = fmt.Sprintf("127.0.0.1:%d", ports[i])
		name := fmt.Sprintf("broker%d", i+1)
		c.format(t, name, common+fmt.Sprintf(
			"process.roles=broker\nnode.id=%d\nlisteners=PLAINTEXT://%s\nadvertised.listeners=PLAINTEXT://%s\ncontroller.quorum.voters=4@%s\n",
			i+1, c.addresses[i], c.addresses[i], c.relays[i].listener.Addr()))
		c.brokers[i] = c.run(t, name)
	}
	for i := range c.brokers {
		if err := c.broker(i).reach(); err != nil {
			t.Fatalf("broker %d: %v", i+1, err)
		}
	}
	client := c.client(t, 0)
	c.await(t, "three brokers", func() bool {
		answer, err := kmsg.NewPtrMetadataRequest().RequestWith(t.Context(), client)
		return err == nil && len(answer.Brokers) == 3
	})
}

const clusterID = "dGVzdC1vZi10aHJlZS1fXw"

func (c *trio) format(t *testing.T, name, properties string) {
	t.Helper()
	folder := filepath.Join(c.folder, name)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "server.properties")
	overwrite(t, file, properties+"log.dirs="+filepath.Join(folder, "data")+"\n")
	out, err := c.java("kafka.tools.StorageTool", "format", "--cluster-id="+clusterID, "-c", file).CombinedOutput()
	if err != nil {
		t.Fatalf("format %s: %v: %s", name, err, out)
	}
}

func (c *trio) java(args ...string) *exec.Cmd {
	return exec.Command("java", append([]string{
		"-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-cp", c.jars + "/*",
	}, args...)...)
}

func (c *trio) run(t *testing.T, name string) *exec.Cmd {
	t.Helper()
	command := c.java("kafka.Kafka", filepath.Join(c.folder, name, "server.properties"))
	log, err := os.Create(filepath.Join(c.folder, name, "out.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	return command
}

func (c *trio) stop(t *testing.T) {
	for _, relay := range c.relays {
		if relay != nil {
			relay.close()
		}
	}
	for i, command := range append(c.brokers[:], c.controller) {
		if command == nil {
			continue
		}
		if t.Failed() && i < len(c.brokers) {
			log, err := os.ReadFile(filepath.Join(c.folder, fmt.Sprintf("broker%d", i+1), "out.log"))
			t.Logf("broker %d: %v ... %s", i+1, err, log[max(0, len(log)-600):])
		}
		if err := command.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = command.Wait() // it was killed
	}
}

// signal sends a signal to a broker: SIGSTOP freezes it, SIGCONT lets it continue.
func (c *trio) signal(t *testing.T, i int, signal syscall.Signal) {
	t.Helper()
	if err := c.brokers[i].Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

func (c *trio) broker(i int) *broker { return &broker{address: c.addresses[i]} }

func (c *trio) client(t *testing.T, i int) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.addresses[i]), kgo.MetadataMinAge(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// leader is the leader of a partition as one of the brokers reports it, as an index; -1 is none.
func (c *trio) leader(t *testing.T, seenBy int, at topicPartition) int {
	t.Helper()
	request := kmsg.NewPtrMetadataRequest()
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = kmsg.StringPtr(at.topic)
	request.Topics = append(request.Topics, topic)
	answer, err := c.client(t, seenBy).Broker(seenBy+1).RetriableRequest(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range answer.(*kmsg.MetadataResponse).Topics[0].Partitions {
		if p.Partition == at.partition && p.ErrorCode == 0 {
			return int(p.Leader) - 1
		}
	}
	return -1
}

// coordinator is the broker that coordinates a transactional id, as an index.
func (c *trio) coordinator(t *testing.T, id string) int {
	t.Helper()
	client := c.client(t, 0)
	found := -1
	c.await(t, "a coordinator", func() bool {
		request := kmsg.NewPtrFindCoordinatorRequest()
		request.CoordinatorKey, request.CoordinatorType = id, 1
		answer, err := request.RequestWith(t.Context(), client)
		if err == nil && answer.ErrorCode == 0 && len(answer.Coordinators) > 0 {
			err = kerr.ErrorForCode(answer.Coordinators[0].ErrorCode)
			found = int(answer.Coordinators[0].NodeID) - 1
		} else if err == nil {
			err = kerr.ErrorForCode(answer.ErrorCode)
			found = int(answer.NodeID) - 1
		}
		return err == nil && found >= 0
	})
	return found
}

func (c *trio) await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx := within(t)
	for !holds() {
		if connector.Sleep(ctx, 100*time.Millisecond) != nil {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// awaitBrokers waits until n brokers are in the cluster. Any broker may answer, and each learns by itself who is away.
func (c *trio) awaitBrokers(t *testing.T, n int) {
	t.Helper()
	client := c.client(t, 0)
	c.await(t, fmt.Sprintf("%d brokers", n), func() bool {
		for range 8 {
			answer, err := kmsg.NewPtrMetadataRequest().RequestWith(t.Context(), client)
			if err != nil || len(answer.Brokers) != n {
				return false
			}
		}
		return true
	})
}

// relay passes bytes between a broker and its controller until it is cut; then all bytes are held, on old and new
// connections.
type relay struct {
	listener net.Listener
	target   string
	work     sync.WaitGroup

	mu     sync.Mutex
	open   chan struct{} // closed while bytes pass
	conns  []net.Conn
	closed bool
}

func newRelay(t *testing.T, target string) *relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{listener: listener, target: target, open: make(chan struct{})}
	close(r.open)
	r.work.Go(r.serve)
	return r
}

func (r *relay) serve() {
	for {
		from, err := r.listener.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", r.target)
		if err != nil {
			_ = from.Close()
			continue
		}
		if !r.hold(from, to) {
			return
		}
		r.work.Go(func() { r.pass(from, to) })
		r.work.Go(func() { r.pass(to, from) })
	}
}

func (r *relay) hold(conns ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns = append(r.conns, conns...)
	if r.closed {
		for _, c := range conns {
			_ = c.Close()
		}
	}
	return !r.closed
}

func (r *relay) pass(to io.WriteCloser, from io.ReadCloser) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		r.mu.Lock()
		open := r.open
		r.mu.Unlock()
		<-open
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	_ = errors.Join(to.Close(), from.Close())
}

func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = make(chan struct{})
}

func (r *relay) join() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.open)
}

func (r *relay) close() {
	_ = r.listener.Close()
	r.mu.Lock()
	r.closed = true
	select {
	case <-r.open:
	default:
		close(r.open)
	}
	for _, c := range r.conns {
		_ = c.Close()
	}
	r.mu.Unlock()
	r.work.Wait()
}
