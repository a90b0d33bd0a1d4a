package jetstream

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// startCluster runs three servers that form a cluster.
func startCluster(t *testing.T) []*testServer {
	t.Helper()
	var routes []*url.URL
	ports := freePorts(t, 3)
	for _, port := range ports {
		routes = append(routes, routeTo(port))
	}
	var servers []*testServer
	for i := range 3 {
		s := clusterServer(t, i, ports[i], routes)
		s.start(t)
		t.Cleanup(s.stop)
		servers = append(servers, s)
	}
	meet(t, servers)
	return servers
}

func clusterServer(t *testing.T, i, port int, routes []*url.URL) *testServer {
	t.Helper()
	return &testServer{options: server.Options{
		ServerName: fmt.Sprintf("n%d", i), Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true,
		StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
		Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: port}, Routes: routes,
	}}
}

// meet waits until the servers are a cluster with a leader.
func meet(t *testing.T, servers []*testServer) {
	t.Helper()
	eventually(t, "the cluster to have a leader", func() bool {
		for _, s := range servers {
			if s.server.JetStreamIsLeader() && len(s.server.JetStreamClusterPeers()) == len(servers) {
				return true
			}
		}
		return false
	})
}

func routeTo(port int) *url.URL {
	return &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", port)}
}

// freePorts finds ports that nobody uses.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		ports = append(ports, sinktest.FreePorts(t, 1))
	}
	return ports
}

// TestCluster runs the clauses about owners on three replicas, while the leader changes.
func TestCluster(t *testing.T) {
	t.Parallel()
	servers := startCluster(t)
	c := config(servers[0].url() + "," + servers[1].url() + "," + servers[2].url())
	c.Timeout = 3 * time.Second
	maker := openSink(t, c, connector.ModeStructured)
	eventually(t, "the stream", func() bool { return maker.Create(t.Context()) == nil })
	k, err := maker.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	info, err := k.streamInfo(t.Context(), DefaultStream)
	if err != nil || info.Config.Replicas != 3 {
		t.Fatalf("%+v, %v", info, err)
	}
	js := clientOf(t, servers[0].url())

	one := openLog(t, openSink(t, c, connector.ModeStructured), sinktest.Claim(stream, "one"))
	two := openLog(t, openSink(t, c, connector.ModeStructured), sinktest.Claim(stream, "two"))
	written := uint64(0)
	piece := func(n int) []connector.Event { return sinktest.Events(one.claim.Stream, written+1, n) }
	for round := range 6 {
		owner, other := one, two
		if round%2 == 1 {
			owner, other = two, one
		}
		state := acquireSoon(t, owner)
		if state.Checkpoint.Sequence != written || uint64(len(state.Seen)) != written {
			t.Fatalf("round %d: finds sequence %d and %d events, want %d", round, state.Checkpoint.Sequence, len(state.Seen),
				written)
		}
		checkpoint := commit(t, owner, state.Checkpoint, piece(150))
		written += 150
		if round > 0 {
			stale := sinktest.Next(checkpoint, piece(5), nil, 0)
			if err := other.Commit(t.Context(), piece(5), nil, stale); !errors.Is(err, connector.ErrFenced) {
				t.Fatalf("round %d: got %v, want ErrFenced", round, err)
			}
		}
		if round == 2 || round == 3 { // the leader steps down while commits go on
			var answer struct{}
			if err := k.ask(t.Context(), "STREAM.LEADER.STEPDOWN."+DefaultStream, nil, &answer); err != nil {
				t.Fatal(err)
			}
		}
		for range 5 {
			events := piece(20)
			next := sinktest.Next(checkpoint, events, nil, checkpoint.Sequence)
			err := owner.Commit(t.Context(), events, nil, next)
			if errors.Is(err, connector.ErrFenced) {
				t.Fatal(err)
			}
			if err != nil {
				checkpoint = acquireSoon(t, owner).Checkpoint
				written = checkpoint.Sequence
				continue
			}
			checkpoint, written = next, written+20
		}
	}
	eventually(t, "the log", func() bool {
		_, err := js.StreamInfo(DefaultStream)
		return err == nil
	})
	wantSequences(t, js, stream, written)
}

// TestCluster_race lets two owners write at once, each behaving like a Poller.
func TestCluster_race(t *testing.T) {
	t.Parallel()
	servers := startCluster(t)
	c := config(servers[0].url())
	maker := openSink(t, c, connector.ModeStructured)
	eventually(t, "the stream", func() bool { return maker.Create(t.Context()) == nil })
	until := time.Now().Add(4 * time.Second)
	done := make(chan int, 2)
	for i := range 2 {
		log := openLog(t, openSink(t, config(servers[i+1].url()), connector.ModeStructured),
			sinktest.Claim(stream, fmt.Sprintf("owner-%d", i)))
		go func() {
			commits := 0
			defer func() { done <- commits }()
			for time.Now().Before(until) {
				state, err := log.Acquire(t.Context())
				for checkpoint := state.Checkpoint; err == nil && time.Now().Before(until); commits++ {
					events := sinktest.Events(log.claim.Stream, checkpoint.Sequence+1, 10)
					for j := range events {
						events[j].ID += fmt.Sprintf("-%d", i) // otherwise the message ids alone would keep the two apart
					}
					next := sinktest.Next(checkpoint, events, nil, checkpoint.Sequence)
					if err = log.Commit(t.Context(), events, nil, next); err == nil {
						checkpoint = next
					}
				}
			}
		}()
	}
	a, b := <-done, <-done
	if a == 0 || b == 0 {
		t.Logf("commits tried: %d and %d", a, b)
	}
	js := clientOf(t, servers[0].url())
	log := openLog(t, openSink(t, c, connector.ModeStructured), sinktest.Claim(stream, "reader"))
	state := acquireSoon(t, log)
	if state.Checkpoint.Sequence == 0 || uint64(len(state.Seen)) != state.Checkpoint.Sequence {
		t.Fatalf("sequence %d, %d events", state.Checkpoint.Sequence, len(state.Seen))
	}
	wantSequences(t, js, stream, state.Checkpoint.Sequence)
}

// TestCluster_members: whatever is acknowledged is listed over every server, also while the leader changes, and after it
// died members find each other again within seconds.
func TestCluster_members(t *testing.T) {
	t.Parallel()
	servers := startCluster(t)
	var sinks []*Sink
	for i := range servers {
		c := config(servers[i].url() + "," + servers[(i+1)%3].url() + "," + servers[(i+2)%3].url())
		c.Timeout = 3 * time.Second
		sinks = append(sinks, openSink(t, c, connector.ModeStructured))
	}
	eventually(t, "the stream", func() bool { return sinks[0].Create(t.Context()) == nil })
	acknowledged := make(map[string]time.Time)
	// round announces a member over each server, and lists over each what was acknowledged. It counts the lists.
	round := func(n int) (listed int) {
		for i, sink := range sinks {
			id := fmt.Sprintf("%d-%d", i, n%2)
			if err := sink.AnnounceMember(t.Context(), id); err == nil {
				acknowledged[id] = time.Now()
			}
			for _, other := range sinks {
				asked := time.Now()
				ids, err := other.ListMembers(t.Context())
				if err != nil {
					continue
				}
				listed++
				for id, at := range acknowledged {
					if asked.Sub(at) < memberLife-4*time.Second && !slices.Contains(ids, id) {
						t.Fatalf("%q was acknowledged %s before, and is not among %q", id, asked.Sub(at), ids)
					}
				}
			}
		}
		return listed
	}
	for n := range 8 {
		if n%2 == 1 {
			if k := sinks[0].held(); k != nil {
				var answer struct{}
				if err := k.ask(t.Context(), "STREAM.LEADER.STEPDOWN."+DefaultStream, nil, &answer); err != nil {
					t.Log(err)
				}
			}
		}
		round(n)
	}
	info, err := sinks[0].held().streamInfo(t.Context(), DefaultStream)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range servers {
		if s.server.Name() == info.Cluster.Leader {
			s.stop()
		}
	}
	died, n := time.Now(), 0
	eventually(t, "members after the leader died", func() bool {
		n++
		return round(n) == 9 && len(acknowledged) == 6
	})
	t.Logf("all announce and list %s after the leader died", time.Since(died).Round(time.Millisecond))
}
