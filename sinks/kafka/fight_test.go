package kafka

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

var (
	fightFor  = flag.Duration("fight", 30*time.Second, "how long TestFight lasts on the real broker")
	fightSeed = flag.Uint64("fight.seed", 1, "the seed of TestFight")
)

// fighter is a writer that stands down for a moment when it is fenced, like the Poller, but for less time.
type fighter struct {
	name   string
	stream connector.Stream
	log    connector.Log
	random *rand.Rand

	done                           map[string]uint64 // the ids that were reported to it as written
	commits                        atomic.Int64
	fenced, unclear, notNow, taken int
	reasons                        map[string]int // of "not now"
}

func (f *fighter) run(ctx context.Context) error {
	for ctx.Err() == nil {
		state, err := f.log.Acquire(ctx)
		if err != nil {
			if refusal := refusalOf(err); refusal != nil {
				return refusal
			}
			if errors.Is(err, connector.ErrNotNow) {
				f.refused(err)
			}
			_ = connector.Sleep(ctx, time.Duration(20+f.random.IntN(100))*time.Millisecond)
			continue
		}
		f.taken++
		if n := len(state.Seen); n > 0 && state.Seen[n-1].Sequence != state.Checkpoint.Sequence {
			return fmt.Errorf("%s: the window ends at %d, the checkpoint at %d", f.name, state.Seen[n-1].Sequence,
				state.Checkpoint.Sequence)
		}
		f.write(ctx, state.Checkpoint)
	}
	return nil
}

func (f *fighter) refused(err error) {
	f.notNow++
	text := err.Error()
	f.reasons[text[max(0, len(text)-90):]]++
}

// write commits until something prevents it.
func (f *fighter) write(ctx context.Context, next connector.Checkpoint) {
	for ctx.Err() == nil {
		events := sinktest.Events(f.stream, next.Sequence+1, 1+f.random.IntN(60))
		for i := range events { // each writer has other messages, so that two in one place are noticed
			events[i].ID = fmt.Sprintf("%s-%s-%d", f.name, next.Owner, events[i].Sequence)
			events[i].Key = connector.MessageKey(events[i].ID)
		}
		last := next.Sequence + uint64(len(events))
		after := sinktest.Next(next, events, nil, last)
		err := f.log.Commit(ctx, events, nil, after)
		for errors.Is(err, connector.ErrNotNow) && ctx.Err() == nil {
			f.refused(err)
			_ = connector.Sleep(ctx, time.Duration(20+f.random.IntN(200))*time.Millisecond)
			err = f.log.Commit(ctx, events, nil, after)
		}
		switch {
		case err == nil:
			f.commits.Add(1)
			for i := range events {
				f.done[events[i].ID] = events[i].Sequence
			}
			next = after
		case errors.Is(err, connector.ErrFenced):
			f.fenced++
			_ = connector.Sleep(ctx, time.Duration(100+f.random.IntN(900))*time.Millisecond)
			return
		default:
			f.unclear++
			return
		}
	}
}

// TestFight lets two writers fight for one stream, and a third write another stream, while connections break and the
// broker is killed, stopped and paused. In the end each acknowledged event is there once, in its place.
func TestFight(t *testing.T) {
	everyBroker(t, func(t *testing.T, b *broker) {
		lasts := *fightFor
		if b.script == nil {
			lasts = 3 * time.Second
		}
		config := Config{Topic: newTopic(), TransactionTimeout: minTransactionTimeout}
		createTopics(t, b, config)
		ctx, cancel := context.WithTimeout(t.Context(), lasts+fightPatience)
		defer cancel()
		fighters := make([]*fighter, 3)
		saboteurs := make([]*saboteur, len(fighters))
		sinks := make([]*Sink, len(fighters))
		errs := make([]error, len(fighters))
		var running sync.WaitGroup
		for i := range fighters {
			sinks[i] = openSink(t, b, config, connector.Encoding{})
			saboteurs[i] = sabotage(sinks[i])
			claim := sinktest.Claim([]string{"595981048477", "595981048477", "support"}[i], fmt.Sprint("instance-", i))
			f := &fighter{
				name: fmt.Sprint(i), stream: claim.Stream, log: sinks[i].Log(claim),
				random: rand.New(rand.NewPCG(*fightSeed, uint64(i))), done: make(map[string]uint64), reasons: make(map[string]int),
			}
			fighters[i] = f
			running.Go(func() { errs[i] = f.run(ctx) })
		}
		harm := disturb(ctx, t, b, lasts, fighters, saboteurs, rand.New(rand.NewPCG(*fightSeed, 99)))
		cancel()
		running.Wait()
		for i, f := range fighters {
			if errs[i] != nil {
				t.Error(errs[i])
			}
			if err := errors.Join(f.log.Close(), sinks[i].Close()); err != nil {
				t.Error(err)
			}
			t.Logf("writer %d: %d commits, %d events, %d take-overs, %d fenced, %d unclear, %d not now", i, f.commits.Load(),
				len(f.done), f.taken, f.fenced, f.unclear, f.notNow)
			for text, n := range f.reasons {
				t.Logf("writer %d, %d times not now: …%s", i, n, text)
			}
		}
		t.Log(harm)
		for _, name := range []string{"595981048477", "support"} {
			wantFought(t, b, config, name, fighters)
		}
	})
}

// fightPatience is how much longer a fight may last on a busy machine.
const fightPatience = 5 * time.Minute

// commitsOf counts the commits of each stream.
func commitsOf(fighters []*fighter) map[string]int64 {
	commits := make(map[string]int64)
	for _, f := range fighters {
		commits[f.stream.Name] += f.commits.Load()
	}
	return commits
}

// gotOn reports whether each stream has been committed to since then.
func gotOn(fighters []*fighter, since map[string]int64) bool {
	for name, commits := range commitsOf(fighters) {
		if commits <= since[name] {
			return false
		}
	}
	return true
}

// disturb does harm for a time, and leaves the broker running. Between two disturbances, and after the last, each
// stream makes progress.
func disturb(ctx context.Context, t *testing.T, b *broker, lasts time.Duration, fighters []*fighter,
	saboteurs []*saboteur,
	random *rand.Rand,
) string {
	keys := []int16{0, 0, 22, 24, 26, 26, 26}
	var broken, killed, stopped, paused int
	since := commitsOf(fighters)
	over := time.Now().Add(lasts)
	for connector.Sleep(ctx, time.Duration(100+random.IntN(400))*time.Millisecond) == nil {
		if time.Now().After(over) {
			if gotOn(fighters, since) {
				break
			}
			continue
		}
		s := saboteurs[random.IntN(len(saboteurs))]
		s.next(keys[random.IntN(len(keys))], mishap(random.IntN(3)), 1)
		broken++
		if random.IntN(3) == 0 {
			s.haunt()
		}
		if b.script == nil || !gotOn(fighters, since) {
			continue
		}
		switch random.IntN(24) {
		case 0, 1, 4, 5:
			b.script(t, "kill")
			_ = connector.Sleep(ctx, time.Duration(random.IntN(2_000))*time.Millisecond)
			b.script(t, "start")
			killed++
		case 2:
			b.script(t, "stop")
			b.script(t, "start")
			stopped++
		case 3:
			b.script(t, "pause")
			_ = connector.Sleep(ctx, time.Duration(500+random.IntN(3_000))*time.Millisecond)
			b.script(t, "resume")
			paused++
		default:
			continue
		}
		since = commitsOf(fighters)
	}
	for _, s := range saboteurs {
		s.haunt()
	}
	return fmt.Sprintf("%d requests broken; the broker killed %d times, stopped %d, paused %d", broken, killed, stopped,
		paused)
}

// haunt lets late requests arrive, whatever their result is.
func (b *saboteur) haunt() {
	b.mu.Lock()
	ghosts := b.ghosts
	b.ghosts = nil
	b.mu.Unlock()
	for _, g := range ghosts {
		_, _ = g.arrive() // the broker may be gone by then
	}
}

// wantFought checks a stream after the fight: no gap or repeat, everything that was acknowledged in its place, and the
// checkpoint at its end.
func wantFought(t *testing.T, b *broker, config Config, name string, fighters []*fighter) {
	t.Helper()
	sink := openSink(t, b, config, connector.Encoding{})
	defer sink.Close()
	last := &writer{t: t, b: b, sink: sink, log: sink.Log(sinktest.Claim(name, "last"))}
	defer last.log.Close()
	sequence := last.acquire()
	stored := storedEvents(t, b, config.Topic, name)
	at := make(map[string]uint64)
	for i, s := range stored {
		if s.Sequence != uint64(i)+1 {
			t.Fatalf("%s: event %d has sequence %d", name, i+1, s.Sequence)
		}
		at[s.ID] = s.Sequence
	}
	if uint64(len(stored)) != sequence || len(at) != len(stored) {
		t.Fatalf("%s: %d events, %d different ones, the checkpoint says %d", name, len(stored), len(at), sequence)
	}
	acknowledged := 0
	for _, f := range fighters {
		if f.stream.Name != name {
			continue
		}
		for id, place := range f.done {
			acknowledged++
			if at[id] != place {
				t.Fatalf("%s: an event was acknowledged at %d and stands at %d", name, place, at[id])
			}
		}
	}
	if acknowledged == 0 {
		t.Fatalf("%s: nothing was acknowledged", name)
	}
	t.Logf("%s: %d events, %d of them acknowledged, each once", name, len(stored), acknowledged)
}
