package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/fleet"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// board is where the replicas of a test announce themselves.
type board struct {
	mu      sync.Mutex
	members map[string]time.Time // until when an announcement counts
	ears    []func(id string, leaves bool)
	broken  error
}

// boardSink is a sink whose streams cannot be acquired just now.
type boardSink struct {
	*stuckSink
	*board
}

func newBoardSink(b *board) boardSink {
	return boardSink{&stuckSink{acquire: func(context.Context) (connector.State, error) {
		return connector.State{}, connector.ErrNotNow
	}}, b}
}

// set has the board fail from now on, or work.
func (b *board) set(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broken = err
}

func (b *board) change(id string, until time.Time, leaves bool) error {
	b.mu.Lock()
	broken, ears := b.broken, slices.Clone(b.ears)
	if broken == nil {
		b.members[id] = until
	}
	b.mu.Unlock()
	for _, heard := range ears {
		if broken == nil {
			heard(id, leaves)
		}
	}
	return broken
}

func (b *board) AnnounceMember(_ context.Context, id string) error {
	return b.change(id, time.Now().Add(fleet.Lifetime), false)
}

func (b *board) WithdrawMember(_ context.Context, id string) error {
	return b.change(id, time.Time{}, true)
}

func (b *board) ListMembers(context.Context) (ids []string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, until := range b.members {
		if time.Now().Before(until) {
			ids = append(ids, id)
		}
	}
	return ids, b.broken
}

func (b *board) HearMembers(ctx context.Context, heard func(id string, leaves bool)) error {
	b.mu.Lock()
	b.ears = append(b.ears, heard)
	b.mu.Unlock()
	<-ctx.Done()
	return ctx.Err()
}

// replica is a pipeline of sixty streams that runs.
type replica struct {
	*Pipeline
	stop func() error
}

func startReplica(t *testing.T, sink sinks.Sink) *replica {
	t.Helper()
	return startReplicaOf(t, sink, 60)
}

func startReplicaOf(t *testing.T, sink sinks.Sink, streams int) *replica {
	t.Helper()
	c := config.Default()
	c.Poll.RequestsPerMinute = 600
	for i := range streams {
		c.TwoChat.Streams = append(c.TwoChat.Streams,
			config.StreamConfig{Number: config.Number(fmt.Sprintf("+15550100%03d", i)), Name: fmt.Sprintf("s%d", i)})
	}
	c.Sink.JetStream = sinks.Defaults().JetStream
	client, err := twochat.New(twochat.Config{BaseURL: "http://127.0.0.1:1", Key: func() (string, error) {
		return "", errors.New("no key")
	}})
	if err != nil {
		t.Fatal(err)
	}
	r := &replica{Pipeline: New(Parts{
		Config: &c, Sink: sink, Sources: []Source{{Config: &c, Client: client}}, Registry: prometheus.NewRegistry(),
		Logger: cli.QuietLogger(),
	})}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.stop = sync.OnceValue(func() error {
		cancel()
		defer client.Close()
		return <-done
	})
	t.Cleanup(func() { r.stop() })
	synctest.Wait()
	return r
}

// reads are the names of the streams that run here.
func (r *replica) reads() map[string]bool {
	names := map[string]bool{}
	for _, w := range r.workers() {
		names[w.stream.Name] = true
	}
	return names
}

func (r *replica) part() float64 { return r.all()[0].account.Part() }

func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// Replicas share the streams and the rate: a new one takes its share after a round, one that ends leaves its streams to
// the others at once, and no part of the rate is used by two.
func TestReplicas_ShareTheStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{members: map[string]time.Time{}}
		first := startReplica(t, newBoardSink(b))
		if got := len(first.reads()); got != 60 || first.part() != 1 ||
			first.all()[0].account.Limiter.Paused().After(time.Now().Add(time.Second)) {
			t.Fatalf("alone, it reads %d streams with %v of the rate", got, first.part())
		}
		pass(time.Minute)
		second := startReplica(t, newBoardSink(b))
		if got := second.Report(time.Now()); len(got.Streams) != 60 || len(second.reads()) != 0 || got.Ready ||
			!got.Replicas.Waits() {
			t.Errorf("a new replica: %+v", got)
		}
		pass(fleet.Round + 100*time.Millisecond)
		one, two := first.reads(), second.reads()
		if len(one)+len(two) != 60 || len(one) < 18 || len(two) < 18 {
			t.Errorf("they read %d and %d of 60 streams", len(one), len(two))
		}
		for name := range one {
			if two[name] {
				t.Errorf("both read %s", name)
			}
		}
		if got := first.part() + second.part(); got != 1 {
			t.Errorf("together they use %v of the rate", got)
		}
		paused := time.Until(second.all()[0].account.Limiter.Paused())
		if paused < fleet.Lifetime-fleet.Round-time.Second || paused > fleet.Lifetime-fleet.Round {
			t.Errorf("the new one makes its first request after %s", paused)
		}
		report := first.Report(time.Now()).Replicas
		if len(report.Members) != 2 || len(report.Elsewhere) != len(two) {
			t.Errorf("%+v", report)
		}
		pass(time.Minute)
		before := first.part()
		if err := second.stop(); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		if got := len(first.reads()); got != 60 || first.part() != before {
			t.Errorf("a second after the other has ended it reads %d streams with %v of the rate", got, first.part())
		}
		pass(fleet.Lifetime)
		if first.part() != 1 {
			t.Errorf("a presence time later it uses %v of the rate", first.part())
		}
	})
}

// The streams of a replica that is gone without a word are read by the others once it does not count any more.
func TestReplicas_OneIsKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{members: map[string]time.Time{}}
		first := startReplica(t, newBoardSink(b))
		lost := (&replicas{label: "lost", instance: "1"}).id(first.Sources)
		if err := first.stop(); err != nil {
			t.Fatal(err)
		}
		if err := b.AnnounceMember(t.Context(), lost); err != nil {
			t.Fatal(err)
		}
		r := startReplica(t, newBoardSink(b))
		pass(fleet.Round + time.Second)
		if got := len(r.reads()); got < 18 || got > 42 {
			t.Errorf("it reads %d of 60 streams beside another", got)
		}
		pass(fleet.Lifetime)
		if got := len(r.reads()); got != 60 {
			t.Errorf("it reads %d of 60 streams when the other is gone", got)
		}
	})
}

// Where replicas cannot find each other, each reads everything, and says why.
func TestReplicas_CannotBeSeen(t *testing.T) {
	refusal := &connector.Refusal{Thing: "stream WHATSAPP", Cause: "it takes no messages with a TTL", Hint: "edit it"}
	for _, c := range []struct {
		name  string
		err   error
		after time.Duration
	}{{"refused", refusal, 0}, {"it does not work", errors.New("full"), fleet.Lifetime}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &board{members: map[string]time.Time{}, broken: c.err}
				r := startReplica(t, newBoardSink(b))
				if c.after > 0 {
					pass(c.after - time.Second)
					if got := len(r.reads()); got != 0 {
						t.Errorf("it reads %d streams too early", got)
					}
					pass(time.Second + fleet.Round)
				}
				report := r.Report(time.Now())
				if len(r.reads()) != 60 || report.Replicas.Cause == "" {
					t.Errorf("it reads %d streams: %+v", len(r.reads()), report.Replicas)
				}
				changes := report.Replicas.Changes
				pass(10 * refusedWait)
				b.set(nil)
				pass(2 * refusedWait)
				report = r.Report(time.Now())
				if len(r.reads()) != 60 || report.Replicas.Cause != "" || report.Replicas.Changes > changes+1 {
					t.Errorf("once it works, it reads %d streams: %+v", len(r.reads()), report.Replicas)
				}
			})
		})
	}
}

// Where the sink refuses announcements of replicas that took part, each of them reads everything in time, also what a
// replica left that died meanwhile, and says why. Once they may announce themselves they share again, and no stream is
// unread on the way.
func TestReplicas_RefusedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{members: map[string]time.Time{}}
		first, second := startReplica(t, newBoardSink(b)), startReplica(t, newBoardSink(b))
		third := startReplica(t, newBoardSink(b))
		pass(time.Minute)
		refusal := &connector.Refusal{Thing: "stream WHATSAPP", Cause: "it has no subject", Hint: "`nats stream edit`"}
		b.set(refusal)
		if err := third.stop(); err != nil { // its farewell is refused
			t.Fatal(err)
		}
		pass(fleet.Lifetime + 2*fleet.Round)
		for _, r := range []*replica{first, second} {
			got := r.Report(time.Now())
			if of := got.Replicas; len(r.reads()) != 60 || of.Cause != "stream WHATSAPP: it has no subject" ||
				of.Hint != refusal.Hint || !strings.Contains(of.Trouble(), "reads every stream") {
				t.Errorf("it reads %d streams: %+v", len(r.reads()), of)
			}
			if !slices.ContainsFunc(got.Verdict.Problems, func(p Problem) bool { return p.Hint == refusal.Hint }) {
				t.Error("the verdict has no such problem")
			}
		}
		pass(time.Minute)
		b.set(nil)
		for range 40 {
			pass(time.Second / 4)
			union := first.reads()
			maps.Copy(union, second.reads())
			if len(union) != 60 {
				t.Fatalf("only %d streams are read", len(union))
			}
		}
		if one, two := first.reads(), second.reads(); len(one)+len(two) != 60 || len(one) == 0 || len(two) == 0 {
			t.Errorf("they read %d and %d streams", len(one), len(two))
		}
		if of := first.Report(time.Now()).Replicas; of.Cause != "" || of.Trouble() != "" {
			t.Errorf("%+v", of)
		}
	})
}

// A changed configuration changes the streams of each replica, and what a stream was told at the start counts once.
func TestReplicas_Reload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{members: map[string]time.Time{}}
		first, second := startReplica(t, newBoardSink(b)), startReplica(t, newBoardSink(b))
		pass(fleet.Lifetime)
		next := *first.Config
		next.TwoChat.Streams = next.TwoChat.Streams[:30]
		for _, r := range []*replica{first, second} {
			if _, err := r.Reload(t.Context(), &next); err != nil {
				t.Fatal(err)
			}
		}
		pass(fleet.Round / 2)
		if len(second.reads()) == 0 {
			t.Error("it reads nothing until the others of its new fleet have noticed it")
		}
		// Under their new IDs they have other shares: a stream that moves may be given up a round before it is taken.
		read := time.Now()
		for range 80 {
			pass(time.Second / 4)
			one, two := first.reads(), second.reads()
			if len(one)+len(two) >= 30 {
				read = time.Now()
			}
			if since := time.Since(read); since > fleet.Round {
				t.Fatalf("while they become a fleet of their own they read %d and %d of 30 streams for %v", len(one), len(two), since)
			}
		}
		if one, two := first.reads(), second.reads(); len(one)+len(two) != 30 || len(one) == 0 || len(two) == 0 {
			t.Errorf("as a fleet of their own they read %d and %d of 30 streams", len(one), len(two))
		}
		pass(fleet.Lifetime)
		if got := first.part() + second.part(); got < 0.999 || got > 1.001 {
			t.Errorf("together they use %v of the rate", got)
		}
	})
}

// Replicas that read other streams share nothing with each other.
func TestReplicas_OfOtherStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{members: map[string]time.Time{}}
		one, other := startReplicaOf(t, newBoardSink(b), 60), startReplicaOf(t, newBoardSink(b), 20)
		pass(time.Minute)
		if a, b := len(one.reads()), len(other.reads()); a != 60 || b != 20 {
			t.Errorf("they read %d of 60 and %d of 20 streams", a, b)
		}
	})
}

// A replica whose streams are all refused ends, if nobody else can leave it others.
func TestReplicas_AllRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newBoardSink(&board{members: map[string]time.Time{}})
		sink.acquire = func(context.Context) (connector.State, error) {
			return connector.State{}, &connector.Refusal{Thing: "stream", Cause: "name taken", Hint: "rename it"}
		}
		r := startReplica(t, sink)
		pass(2 * time.Second)
		var all cli.Refusals
		select {
		case <-r.life.over:
		default:
			t.Fatal("it goes on")
		}
		if err := r.stop(); !errors.As(err, &all) || len(all) != 60 {
			t.Errorf("Run: %v", err)
		}
	})
}

// A replica that the sink would refuse a stream, as its chats have other tokens there, is none of the others' fleet.
func TestReplicas_OfAnotherPrivacy(t *testing.T) {
	c, r := config.Default(), &replicas{instance: "1"}
	c.TwoChat.Streams = []config.StreamConfig{{Number: "+15550100100", Name: "a"}}
	one := Source{Config: &c}
	other := one
	other.Privacy.Identifiers = twochat.IdentifiersClear
	if r.id([]Source{one}) == r.id([]Source{other}) {
		t.Error("they are of one fleet")
	}
}
