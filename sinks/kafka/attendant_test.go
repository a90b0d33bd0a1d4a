package kafka

import (
	"context"
	"net"
	"slices"
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
	dead   atomic.Bool // no connection can be made
	frozen atomic.Bool // connections can be made, but nobody answers
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
			if a.frozen.Load() {
				ours, _ := net.Pipe()
				return ours, nil
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

// leave ends the replica, and returns how long that took.
func (a *attendant) leave() time.Duration {
	began := time.Now()
	a.cancel()
	<-a.ended
	return time.Since(began)
}

// die ends the replica without leaving.
func (a *attendant) die() {
	a.dead.Store(true)
	a.member.group.wires.close()
	a.leave()
}

// seen returns how often the replica was told who takes part, and what failed.
func (a *attendant) seen() (lists int, failures []error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lists, slices.Clone(a.failures)
}

// wantNoFailures is for cases that pass without anybody's notice.
func (a *attendant) wantNoFailures() {
	a.t.Helper()
	if _, failures := a.seen(); len(failures) > 0 {
		a.t.Errorf("%s: %v", a.id, failures)
	}
}

// until waits for something that what the replica is told brings about.
func (a *attendant) until(what string, reached func(lists int, failures []error) bool) {
	a.t.Helper()
	limit := time.After(20 * time.Second)
	for {
		lists, failures := a.seen()
		if reached(lists, failures) {
			return
		}
		select {
		case <-a.news:
		case <-a.ended:
			a.t.Fatalf("%s: %s ended: %v", what, a.id, a.err)
		case <-limit:
			a.t.Fatalf("%s: %s was told %d lists and %v", what, a.id, lists, failures)
		}
	}
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
