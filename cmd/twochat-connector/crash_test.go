//go:build linux

package main_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector/reader"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

var (
	lying = flag.Bool("lies", false,
		"run the crash tests in which the API lies and lists messages late, which take minutes")
	crashFor  = flag.Duration("crash", 12*time.Second, "how long the crash tests do harm, each")
	crashSeed = flag.Uint64("crashseed", 0, "seed of the crash tests; 0 is one of the clock")
)

// crashStreams is the number of streams of each connector. More streams mean more commits to interrupt.
const crashStreams = 6

// TestBinary runs the built program with brokers in processes of their own.
func TestBinary(t *testing.T) {
	t.Parallel()
	b := Build(t)
	t.Run("scenarios", func(t *testing.T) {
		t.Parallel()
		for name, scenario := range map[string]func(*testing.T, binaries){
			"burst": burst, "terminate": terminate, "broker down": brokerDown,
			"quiet longer than max_age": quietLongerThanMaxAge,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel() // they mostly wait
				scenario(t, b)
			})
		}
	})
	t.Run("history", func(t *testing.T) {
		t.Parallel()
		historyMemory(t, b)
	})
	t.Run("backfill", func(t *testing.T) {
		t.Parallel()
		for name, place := range map[string]func(t *testing.T) place{
			"nats":       func(t *testing.T) place { return newNATSPlace(t, b.nats, "") },
			"file":       func(t *testing.T) place { return filePlace{t.TempDir()} },
			"fake kafka": func(t *testing.T) place { return newFakeKafkaPlace(t) },
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				backfillBeside(t, b.connector, place(t))
			})
		}
	})
	t.Run("audit", func(t *testing.T) {
		t.Parallel()
		repairKilled(t, b.connector, newNATSPlace(t, b.nats, ""))
	})
	t.Run("erase", func(t *testing.T) {
		t.Parallel()
		eraseKilled(t, b.connector, newNATSPlace(t, b.nats, ""))
	})
	t.Run("replay", func(t *testing.T) {
		t.Parallel()
		replayKilled(t, b.connector, newNATSPlace(t, b.nats, ""))
	})
	t.Run("restore/fake kafka", func(t *testing.T) {
		t.Parallel()
		p := newFakeKafkaPlace(t)
		restoreKilled(t, b.connector, p, p.addresses())
	})
	t.Run("accept history", func(t *testing.T) {
		t.Parallel()
		acceptHistory(t, b)
	})
	t.Run("crash/nats", func(t *testing.T) {
		t.Parallel()
		crash(t, b.connector, newNATSPlace(t, b.nats, ""), crashing{})
	})
	t.Run("fleet/nats", func(t *testing.T) {
		t.Parallel()
		fleetOf(t, b.connector, newNATSPlace(t, b.nats, ""))
	})
	if *fleetRounds > 0 {
		t.Run("fleet/nats3", func(t *testing.T) {
			t.Parallel()
			fleetOf(t, b.connector, newNATSCluster(t, b.nats, "", 3))
		})
	}
	t.Run("lies/file", func(t *testing.T) { lied(t, b, filePlace{t.TempDir()}, crashing{alone: true}) })
	for name, place := range map[string]func(t *testing.T) place{
		"nats":  func(t *testing.T) place { return newNATSPlace(t, b.nats, "") },
		"nats3": func(t *testing.T) place { return newNATSCluster(t, b.nats, "", 3) },
	} {
		t.Run("lies/"+name, func(t *testing.T) {
			lied(t, b, place(t), crashing{})
		})
	}
	if jars := os.Getenv(kafkaVariable); jars != "" {
		t.Run("fleet/kafka", func(t *testing.T) {
			t.Parallel()
			fleetOf(t, b.connector, newKafkaPlace(t, jars))
		})
		t.Run("crash/kafka", func(t *testing.T) { crash(t, b.connector, newKafkaPlace(t, jars), crashing{slow: true}) })
		for name, brokers := range map[string]int{"kafka": 1, "kafka3": 3} {
			t.Run("lies/"+name, func(t *testing.T) {
				lied(t, b, newKafkaCluster(t, jars, brokers), crashing{slow: true})
			})
		}
		t.Run("restore/kafka", func(t *testing.T) {
			p := newKafkaPlace(t, jars)
			restoreKilled(t, b.connector, p, p.addresses())
		})
		t.Run("backfill/kafka", func(t *testing.T) { backfillBeside(t, b.connector, newKafkaPlace(t, jars)) })
	} else {
		fmt.Printf("%s: no Kafka, as %s is not set: a version such as 4.1.0 starts one\n", t.Name(), kafkaVariable)
	}
}

// crashing describes the conditions of a crash test besides its acts.
type crashing struct {
	// slow: the broker takes long to start, so it is killed less often.
	slow bool
	// lies: the API shows wrong pages for seconds, and lists runs of messages late, which sweeps have to find.
	lies bool
	// alone: a second copy ends by itself, because the place belongs to one process.
	alone bool
}

// crashHistory is the number of messages that a list has at the beginning.
const crashHistory = 250

// crash kills, stops and doubles the connector and its broker while the list of messages moves and requests fail.
// Afterwards every message has to be delivered once, in order.
func crash(t *testing.T, binary string, p place, how crashing) {
	seed := *crashSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano()) % 1_000_000
	}
	fmt.Printf("%s: to repeat it: go test ./cmd/twochat-connector -run '%s' -v -crash %v -crashseed %d\n", t.Name(),
		t.Name(), *crashFor, seed)
	r := newRig(t, binary, p, settings{streams: crashStreams, start: "beginning", sweeps: how.lies}, twochattest.Options{
		Seed: seed, History: crashHistory, Drift: twochattest.HostileDrift(), Faults: passingFaults(.04),
		Latency: 2 * time.Millisecond,
	})
	v := vandal{rig: r, rng: rand.New(rand.NewPCG(seed, 0xc4a5)), did: map[string]int{}, crashing: how}
	r.start(t, 0)
	if p, ok := p.(*natsPlace); ok {
		p.forgetIDs(t)
	}
	if how.lies && !eventually(t.Context(), time.Minute, func() bool { return r.begun(t) }) {
		t.Error("some stream did not begin")
	}
	ctx, cancel := context.WithTimeout(t.Context(), *crashFor)
	defer cancel()
	var moving sync.WaitGroup
	defer moving.Wait()
	moving.Go(func() { r.move(ctx) })
	for v.moment(ctx, 600) {
		v.harm(ctx, t)
	}
	v.stop(t)
	cancel()
	moving.Wait()
	r.fake.Quiet()

	within := 90 * time.Second
	if how.lies {
		// If the list showed a false end to a first start, the end is checked again after half of CheckOver.
		within = reader.DefaultRules().CheckOver/2 + 3*sweepEvery
	}
	reports := r.settle(t, within)
	for i := range r.seats {
		r.terminate(t, i)
		r.note(t, i)
	}
	t.Logf("seed %d, %v of %v; %d starts, ends of its own %v; %d requests, %d of them answered wrongly", seed, *crashFor,
		v.String(),
		r.seats[0].starts+r.seats[1].starts, append(r.seats[0].ends, r.seats[1].ends...), r.fake.Requests(),
		total(r.fake.Faults()))
	expectClean(t, reports)
	for i := range r.seats {
		if text := tail(r.seats[i].log, 1_000_000); strings.Contains(text, "panic: ") ||
			strings.Contains(text, "fatal error: ") {
			t.Errorf("connector %d panicked", i+1)
		}
	}
}

// lied runs crash beside an API that lies.
func lied(t *testing.T, b binaries, p place, how crashing) {
	if !*lying {
		t.Skip("it takes minutes: -lies runs it, as the gate does")
	}
	how.lies = true
	crash(t, b.connector, p, how)
}

// passingFaults are those after which a reader asks again at once. A redirect is not among them: it is taken for a
// wrong base URL, and asked again only after long.
func passingFaults(rate float64) []twochattest.Chance {
	return slices.DeleteFunc(twochattest.PassingFaults(rate), func(c twochattest.Chance) bool {
		return c.Fault.Kind == twochattest.KindRedirect
	})
}

func total(counts map[string]int) int {
	sum := 0
	for _, n := range counts {
		sum += n
	}
	return sum
}

// move makes the lists change between requests too.
func (r *rig) move(ctx context.Context) {
	ticker := time.NewTicker(150 * time.Millisecond)
	defer ticker.Stop()
	for i := 0; ; i++ {
		select {
		case <-ticker.C:
			r.fake.Move(r.numbers[i%len(r.numbers)])
		case <-ctx.Done():
			return
		}
	}
}

// vandal harms a rig at random.
type vandal struct {
	rig     *rig
	rng     *rand.Rand
	did     map[string]int
	current int // the seat that should be running
	crashing
}

func (v *vandal) String() string {
	var parts []string
	for _, act := range acts {
		parts = append(parts, fmt.Sprintf("%d %s", v.did[act.name], act.name))
	}
	return strings.Join(parts, ", ")
}

// moment waits a random time of at most that many milliseconds.
func (v *vandal) moment(ctx context.Context, most int) bool {
	return pause(ctx, time.Duration(v.rng.IntN(most)+1)*time.Millisecond)
}

// atWork waits until the connector has requested a page, and a little longer. Then it is reading or committing.
func (v *vandal) atWork(ctx context.Context) {
	before := v.rig.fake.Requests()
	eventually(ctx, 2*time.Second, func() bool { return v.rig.fake.Requests() > before })
	v.moment(ctx, 40)
}

// act is one way to do harm.
type act struct {
	name   string
	weight int
	broker bool // it kills the broker
	lies   bool // only if the API lies
	twins  bool // it runs two copies
	do     func(v *vandal, ctx context.Context, t *testing.T)
}

// acts are the ways to do harm, chosen by weight.
var acts = []act{
	{"kill -9 of the connector", 30, false, false, false, func(v *vandal, ctx context.Context, t *testing.T) {
		v.atWork(ctx)
		v.rig.kill(t, v.current)
		v.moment(ctx, 600)
		v.rig.start(t, v.current)
	}},
	{"kill -9 of the broker", 20, true, false, false, func(v *vandal, ctx context.Context, t *testing.T) {
		v.atWork(ctx)
		v.rig.place.kill(t)
		v.moment(ctx, 1200)
		v.rig.place.start(t)
	}},
	{"kill -9 of both", 10, true, false, false, func(v *vandal, ctx context.Context, t *testing.T) {
		v.atWork(ctx)
		v.rig.place.kill(t)
		v.rig.kill(t, v.current)
		v.rig.start(t, v.current)
		v.moment(ctx, 1500)
		v.rig.place.start(t)
	}},
	{"SIGSTOP of the broker", 10, false, false, false, func(v *vandal, ctx context.Context, t *testing.T) {
		v.atWork(ctx)
		v.rig.place.pause(t)
		v.moment(ctx, 2500)
		v.rig.place.resume(t)
	}},
	// The classic zombie: one copy sleeps in the middle of its work, another one takes over, and the first one wakes.
	{"sleeping owner", 15, false, false, true, func(v *vandal, ctx context.Context, t *testing.T) {
		v.atWork(ctx)
		zombie, heir := v.current, 1-v.current
		v.rig.pause(zombie)
		v.rig.kill(t, heir)
		v.rig.start(t, heir)
		v.moment(ctx, 3000)
		v.rig.resume(zombie)
		v.moment(ctx, 1500)
		v.current = heir
	}},
	{"twin", 10, false, false, true, func(v *vandal, ctx context.Context, t *testing.T) {
		v.rig.start(t, 1-v.current)
		v.moment(ctx, 2000)
	}},
	{"end of the twin", 5, false, false, true, func(v *vandal, _ context.Context, t *testing.T) {
		v.rig.kill(t, 1-v.current)
	}},
	{"SIGTERM of the connector", 8, false, false, false, func(v *vandal, ctx context.Context, t *testing.T) {
		v.atWork(ctx)
		v.rig.terminate(t, v.current)
		v.rig.start(t, v.current)
	}},
	{"crowd of requests that fail", 5, false, false, false, func(v *vandal, _ context.Context, _ *testing.T) {
		for range 8 {
			v.rig.fake.Next(twochattest.Fault{Kind: twochattest.KindReset})
		}
	}},
	{"burst", 10, false, false, false, func(v *vandal, _ context.Context, _ *testing.T) {
		v.rig.fake.Insert(v.rig.numbers[v.rng.IntN(len(v.rig.numbers))], 100*(1+v.rng.IntN(8)))
	}},
	{"lie of the API", 12, false, true, false, func(v *vandal, ctx context.Context, _ *testing.T) {
		number := v.rig.numbers[v.rng.IntN(len(v.rig.numbers))]
		lies := twochattest.Lies()
		v.rig.fake.Lie(number, lies[v.rng.IntN(len(lies))], v.rng.IntN(4))
		if v.rng.IntN(2) == 0 {
			v.rig.fake.Insert(number, 100*(1+v.rng.IntN(8)))
		}
		v.moment(ctx, 6000)
		v.rig.fake.Lie(number, twochattest.LieNone, 0)
	}},
	{"late run", 8, false, true, false, func(v *vandal, _ context.Context, _ *testing.T) {
		number := v.rig.numbers[v.rng.IntN(len(v.rig.numbers))]
		depth := v.rng.IntN(400)
		for range 1 + v.rng.IntN(150) {
			v.rig.fake.Late(number, depth)
		}
	}},
}

// harm does one of the acts. It restarts a connector that ended by itself, as Kubernetes would.
func (v *vandal) harm(ctx context.Context, t *testing.T) {
	weight := func(act act) int {
		switch {
		case act.lies && !v.lies, act.twins && v.alone:
			return 0
		case act.broker && v.slow:
			return act.weight / 4
		}
		return act.weight
	}
	sum := 0
	for _, act := range acts {
		sum += weight(act)
	}
	chosen := v.rng.IntN(sum)
	for _, act := range acts {
		if chosen -= weight(act); chosen < 0 {
			act.do(v, ctx, t)
			v.did[act.name]++
			break
		}
	}
	v.rig.start(t, v.current)
}

// stop leaves everything awake and running.
func (v *vandal) stop(t *testing.T) {
	for i := range v.rig.seats {
		if v.rig.seats[i].stopped {
			v.rig.resume(i)
		}
	}
	v.rig.start(t, v.current)
}
