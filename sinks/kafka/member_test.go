package kafka

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// attendant is a replica that takes part in the group.
type attendant struct {
	t      *testing.T
	id     string
	member *member
	cancel context.CancelFunc
	dead   atomic.Bool
	ended  chan struct{}
	err    error // once it has ended

	mu       sync.Mutex
	ids      []string
	lists    int
	failures []error
	news     chan struct{}
}

// attend lets a replica take part through a sink of its own, until the test ends.
func attend(t *testing.T, b *broker, config Config, id string, change ...func(*member)) *attendant {
	t.Helper()
	sink := openSink(t, b, config, connector.Encoding{})
	a := &attendant{t: t, id: id, member: sink.newMember(id), ended: make(chan struct{}), news: make(chan struct{}, 1)}
	for _, c := range change {
		c(a.member)
	}
	for _, wires := range []*connPool{a.member.group.wires, sink.cluster.wires} {
		dial := wires.dial
		wires.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if a.dead.Load() {
				return nil, net.ErrClosed
			}
			return dial(ctx, network, address)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	a.cancel = cancel
	go func() {
		defer close(a.ended)
		a.err = a.member.attend(ctx, a.present, a.failed)
		a.member.group.wires.close()
		_ = sink.Close()
	}()
	t.Cleanup(func() { a.leave() })
	return a
}

func (a *attendant) tell() {
	select {
	case a.news <- struct{}{}:
	default:
	}
}

func (a *attendant) present(ids []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ids = slices.Clone(ids)
	a.lists++
	a.tell()
}

func (a *attendant) failed(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failures = append(a.failures, err)
	a.tell()
}

func (a *attendant) leave() {
	a.cancel()
	<-a.ended
}

// wantMembers waits until the replica was told of exactly these members, and returns how long that took.
func (a *attendant) wantMembers(limit time.Duration, want ...*attendant) time.Duration {
	a.t.Helper()
	ids := make([]string, len(want))
	for i, w := range want {
		ids[i] = w.id
	}
	slices.Sort(ids)
	began := time.Now()
	until := time.After(limit)
	for {
		a.mu.Lock()
		got, failures := a.ids, a.failures
		a.mu.Unlock()
		if slices.Equal(got, ids) {
			return time.Since(began)
		}
		select {
		case <-a.news:
		case <-a.ended:
			a.t.Fatalf("%s ended: %v", a.id, a.err)
		case <-until:
			a.t.Fatalf("%s counts on %v after %v, want %v; failures: %v", a.id, got, limit, ids, failures)
		}
	}
}

func wantAll(limit time.Duration, all ...*attendant) (longest time.Duration) {
	began := time.Now()
	for _, a := range all {
		a.t.Helper()
		a.wantMembers(limit, all...)
	}
	return time.Since(began)
}

// TestMembers lets three replicas find each other, and notice that one leaves.
func TestMembers(t *testing.T) {
	everyBroker(t, func(t *testing.T, b *broker) {
		config := Config{Topic: newTopic()}
		createTopics(t, b, config)
		a := attend(t, b, config, "pod-a:8080.1")
		t.Logf("alone: %v", wantAll(30*time.Second, a)) // the cluster may have to make its topic for groups
		two := attend(t, b, config, "pod-b:8080.2")
		t.Logf("the second: %v", wantAll(5*time.Second, a, two))
		three := attend(t, b, config, "pod-c:8080.3")
		t.Logf("the third: %v", wantAll(5*time.Second, a, two, three))
		began := time.Now()
		two.leave()
		left := time.Since(began)
		t.Logf("one leaves: %v, of which %v its own", wantAll(2*time.Second, a, three)+left, left)
		if two.err != nil {
			t.Errorf("who left: %v", two.err)
		}
		for _, m := range []*attendant{a, two, three} {
			if len(m.failures) > 0 {
				t.Errorf("%s: %v", m.id, m.failures)
			}
		}
	})
}

// TestMembers_Cut cuts a replica off without a word. The others notice it by its session's end.
func TestMembers_Cut(t *testing.T) {
	everyBroker(t, func(t *testing.T, b *broker) {
		config := Config{Topic: newTopic()}
		createTopics(t, b, config)
		a, two := attend(t, b, config, "pod-a:8080.1"), attend(t, b, config, "pod-b:8080.2")
		wantAll(5*time.Second, a, two)
		two.die()
		t.Logf("one is cut off: %v", wantAll(15*time.Second, a))
	})
}

// die ends the replica without leaving.
func (a *attendant) die() {
	a.dead.Store(true)
	a.member.group.wires.close()
	a.leave()
}

// TestMembers_Ghost starts a replica again that died without leaving: nobody waits for its session's end.
func TestMembers_Ghost(t *testing.T) {
	everyBroker(t, func(t *testing.T, b *broker) {
		config := Config{Topic: newTopic()}
		createTopics(t, b, config)
		for _, others := range []int{0, 1} {
			t.Run(fmt.Sprint(others), func(t *testing.T) {
				var all []*attendant
				for i := range others {
					all = append(all, attend(t, b, config, fmt.Sprintf("pod-%d:8080.1", i)))
				}
				dead := attend(t, b, config, "pod-x:8080.1")
				wantAll(5*time.Second, append(all, dead)...)
				dead.die()
				again := attend(t, b, config, "pod-x:8080.2")
				t.Logf("again: %v", wantAll(2*time.Second, append(all, again)...))
				if strings.Contains(fmt.Sprint(again.failures), "group") {
					t.Errorf("failures: %v", again.failures)
				}
			})
		}
	})
}
