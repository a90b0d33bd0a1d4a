//go:build linux

package main_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/connector/fleet"
	"github.com/twochat-connector/twochat-connector/connector/poller"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

var fleetRounds = flag.Int("fleet", 0,
	"how often replicas are killed, stopped, restarted and cut off, each, in the tests of a fleet; 0 only shares")

const (
	fleetStreams  = 60
	fleetReplicas = 3
	// handOver is how long a hand-over may take; three times that where the machine has other work.
	handOver = 2 * time.Second
	// fleetFloor is how many messages each list has before it is read. With a page of them, a stream costs a call a poll.
	fleetFloor = 100
	// fleetInterval is the interval that the rate allows for that many streams.
	fleetInterval = 2 * time.Second
	fleetRate     = fleetStreams * int(time.Minute/fleetInterval)
)

// fleetRig is three replicas of which each reads a share of sixty streams, while messages flow.
type fleetRig struct {
	*rig
	t       *testing.T
	mu      sync.Mutex
	samples []sample
}

// sample is how many calls were made up to a time.
type sample struct {
	at    time.Time
	calls int
}

// fleetOf shares sixty streams among three replicas, which come and go, and checks that nothing is lost, doubled or out of
// order, that a stream is taken over in time, and that together they keep to the rate and poll no stream more often than
// one replica would.
func fleetOf(t *testing.T, binary string, p place) {
	f := &fleetRig{t: t, rig: newRig(t, binary, p,
		settings{streams: fleetStreams, start: "now", replicas: fleetReplicas, poll: "min_interval: 1s, max_interval: 1s"},
		twochattest.Options{Seed: 15, History: fleetFloor, RequestsPerMinute: fleetRate})}
	f.floor = fleetFloor
	ctx, stop := context.WithCancel(t.Context())
	var moving sync.WaitGroup
	defer moving.Wait()
	defer stop()
	for i := range fleetReplicas {
		f.start(t, i)
	}
	took := f.settled(time.Now(), time.Minute, 0, 1, 2) // a new broker takes its time, too
	t.Logf("three replicas share the streams after %s", took)
	if !eventually(t.Context(), time.Minute, f.live) {
		t.Fatal("not all streams begin")
	}
	moving.Go(func() { f.sample(ctx) })
	f.polls(6 * fleetInterval)
	f.leaves()
	for range *fleetRounds {
		f.killed()
		f.sleeps()
		f.restarted()
		f.cutOff()
		f.polls(6 * fleetInterval)
	}
	f.wantRate()
	if p, ok := p.(*natsPlace); ok && *fleetRounds > 0 {
		f.refused(p)
	}
	stop()
	moving.Wait()
	f.fake.Quiet()
	reports := f.settle(t, time.Minute)
	for i := range f.seats {
		f.terminate(t, i)
	}
	expectClean(t, reports)
}

// report is what a replica says of itself; nil if it does not answer.
func (f *fleetRig) report(i int) *pipeline.Report {
	client := http.Client{Timeout: 2 * time.Second}
	response, err := client.Get("http://" + f.seats[i].admin + "/status")
	if err != nil {
		return nil
	}
	defer response.Body.Close()
	var r pipeline.Report
	if json.NewDecoder(response.Body).Decode(&r) != nil {
		return nil
	}
	return &r
}

// owned are the streams that these replicas own in the sink, each with how many of them do.
func (f *fleetRig) owned(replicas ...int) map[string]int {
	of := map[string]int{}
	for _, i := range replicas {
		if r := f.report(i); r != nil {
			for _, s := range r.Streams {
				if s.Owned {
					of[s.Stream]++
				}
			}
		}
	}
	return of
}

// live reports whether all streams have begun, so that what arrives from now on is wanted.
func (f *fleetRig) live() bool {
	n := 0
	for i := range f.seats {
		if r := f.report(i); r != nil {
			for _, s := range r.Streams {
				if s.State == poller.StateLive {
					n++
				}
			}
		}
	}
	return n == fleetStreams
}

// settled waits until these replicas own each stream once, every one of them a fair share, and returns how long that took
// from a time on.
func (f *fleetRig) settled(from time.Time, within time.Duration, replicas ...int) time.Duration {
	f.t.Helper()
	var took time.Duration
	if !eventually(f.t.Context(), within-time.Since(from), func() bool {
		took = time.Since(from)
		all := f.owned(replicas...)
		for _, n := range all {
			if n != 1 {
				return false
			}
		}
		for _, i := range replicas {
			if len(f.owned(i)) < fleetStreams/len(replicas)/3 {
				return false
			}
		}
		return len(all) == fleetStreams
	}) {
		for _, i := range replicas {
			f.explain(i)
		}
		f.t.Errorf("replicas %v do not share the streams within %s", replicas, within)
	}
	return took.Round(10 * time.Millisecond)
}

// explain logs what a replica has and what it lacks.
func (f *fleetRig) explain(i int) {
	f.t.Helper()
	r := f.report(i)
	if r == nil || r.Replicas == nil {
		f.t.Logf("replica %d does not answer", i+1)
		return
	}
	f.t.Logf("replica %d has %d streams; %s %s", i+1, len(r.Streams), r.Replicas.Text(), r.Replicas.Cause)
	for _, s := range r.Streams {
		if !s.Owned {
			f.t.Logf("  %s is %s since %s: %s", s.Stream, s.State, time.Since(s.Since).Round(time.Millisecond), s.Cause)
		}
	}
}

// polls checks how often streams are polled while the replicas stay the same.
func (f *fleetRig) polls(during time.Duration) {
	f.t.Helper()
	pause(f.t.Context(), fleet.Lifetime) // until a part of the rate that grows has grown
	before := 0
	for _, number := range f.numbers {
		before += f.fake.PageRequests(number)
	}
	began := time.Now()
	pause(f.t.Context(), during)
	intervals := float64(time.Since(began)) / float64(fleetInterval)
	most, least, sum := 0, 1<<30, 0
	for _, number := range f.numbers {
		now := f.fake.PageRequests(number)
		sum += now
		most, least = max(most, now), min(least, now)
	}
	each := float64(sum-before) / float64(fleetStreams) / intervals
	f.t.Logf("%.3f polls of a stream in an interval", each)
	if each > 1.1 || each < 0.8 {
		f.t.Errorf("a stream is polled %.3f times an interval, want 0.8 to 1.1", each)
	}
}

// leaves ends a replica in order: the others have its streams at once.
func (f *fleetRig) leaves() {
	f.t.Helper()
	began := time.Now()
	var leaving sync.WaitGroup
	leaving.Go(func() { f.terminate(f.t, 1) })
	took := f.settled(began, 10*time.Second, 0, 2)
	leaving.Wait()
	f.t.Logf("after SIGTERM the others own its streams within %s", took)
	if took > 3*handOver {
		f.t.Errorf("a take-over after SIGTERM took %s, want about %s", took, handOver)
	}
	f.returns(1)
}

// returns starts a replica again, and waits until it has its share.
func (f *fleetRig) returns(i int) {
	f.t.Helper()
	f.start(f.t, i)
	f.t.Logf("one more replica has its share after %s", f.settled(time.Now(), 25*time.Second, 0, 1, 2))
}

func (f *fleetRig) killed() {
	f.t.Helper()
	f.kill(f.t, 2)
	f.takenOver("kill -9", 0, 1)
	f.returns(2)
}

// takenOver checks that the others own everything in time after one has gone without a word.
func (f *fleetRig) takenOver(how string, others ...int) {
	f.t.Helper()
	took := f.settled(time.Now(), fleet.Lifetime+3*handOver, others...)
	f.t.Logf("after %s the others own its streams within %s, want about %s", how, took, fleet.Lifetime+handOver)
}

// sleeps stops a replica for longer than it counts: it finds the others in its place when it wakes.
func (f *fleetRig) sleeps() {
	f.t.Helper()
	f.pause(0)
	f.takenOver("SIGSTOP", 1, 2)
	f.resume(0)
	f.t.Logf("awake, it has its share after %s", f.settled(time.Now(), 25*time.Second, 0, 1, 2))
}

// restarted kills a replica that starts again at once, as a container does.
func (f *fleetRig) restarted() {
	f.t.Helper()
	f.kill(f.t, 0)
	f.returns(0)
}

// cutOff kills the broker for a while: each goes on with what it has.
func (f *fleetRig) cutOff() {
	f.t.Helper()
	f.place.kill(f.t)
	pause(f.t.Context(), 5*time.Second)
	f.place.start(f.t)
	f.t.Logf("after the broker was away they share the streams within %s", f.settled(time.Now(), time.Minute, 0, 1, 2))
}

// refused takes the subject of announcements from the stream in use, and kills a replica at once: the others read
// everything in time, and say what mends it. Then they share again.
func (f *fleetRig) refused(p *natsPlace) {
	f.t.Helper()
	members := "whatsapp-members.*"
	p.edit(f.t, func(c *jetstream.StreamConfig) {
		c.Subjects = slices.DeleteFunc(c.Subjects, func(subject string) bool { return subject == members })
	})
	f.kill(f.t, 2)
	began := time.Now()
	if !eventually(f.t.Context(), 30*time.Second, func() bool { return len(f.owned(0, 1)) == fleetStreams }) {
		f.explain(0)
		f.explain(1)
		f.t.Error("nobody reads the streams of a replica that died while announcements were refused")
	}
	f.t.Logf("after kill -9 while announcements are refused the others own its streams within %s",
		time.Since(began).Round(10*time.Millisecond))
	hint := ""
	if !eventually(f.t.Context(), 10*time.Second, func() bool {
		r := f.report(0)
		if r != nil && r.Replicas != nil {
			hint = r.Replicas.Hint
		}
		return strings.Contains(hint, "`nats stream edit") && strings.Contains(hint, members)
	}) {
		f.t.Errorf("the hint is %q", hint)
	}
	pause(f.t.Context(), fleet.Lifetime) // they take streams from each other
	p.edit(f.t, func(c *jetstream.StreamConfig) { c.Subjects = append(c.Subjects, members) })
	mended := time.Now()
	if !eventually(f.t.Context(), 15*time.Second, func() bool {
		one, two := f.report(0), f.report(1)
		return one != nil && two != nil && one.Replicas.Cause+two.Replicas.Cause == "" && len(one.Replicas.Members) == 2 &&
			len(two.Replicas.Members) == 2
	}) {
		f.t.Error("they do not share again once it is mended")
	}
	f.t.Logf("once it is mended they share the streams within %s", f.settled(mended, 30*time.Second, 0, 1))
	f.returns(2)
}

// sample lets messages arrive, and counts calls.
func (f *fleetRig) sample(ctx context.Context) {
	for i := 0; pause(ctx, 100*time.Millisecond); i++ {
		f.fake.Insert(f.numbers[i*7%len(f.numbers)], 1+i%3)
		f.mu.Lock()
		f.samples = append(f.samples, sample{time.Now(), f.fake.Requests()})
		f.mu.Unlock()
	}
}

// wantRate checks that so far no minute had more calls than the account allows, but for the reading of the account with which
// each process begins.
func (f *fleetRig) wantRate() {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	starts := 0
	for _, s := range f.seats {
		starts += s.starts
	}
	most, first := 0, 0
	for _, s := range f.samples {
		for s.at.Sub(f.samples[first].at) > time.Minute {
			first++
		}
		most = max(most, s.calls-f.samples[first].calls)
	}
	f.t.Logf("at most %d calls in a minute; %d are allowed, and %d processes began", most, fleetRate, starts)
	if most > fleetRate+starts {
		f.t.Errorf("%d calls in a minute, of %d", most, fleetRate)
	}
	if most == 0 {
		f.t.Error(fmt.Sprint("no call was counted in ", len(f.samples), " samples"))
	}
}
