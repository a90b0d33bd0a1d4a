package sinktest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// ownerRules are the clauses about one owner after another, and about several at once.
var ownerRules = []rule{
	{
		name: "owner: a take-over fences the earlier one, until it acquires again", except: unlessFencing,
		test: func(s *scene) {
			claim := Claim("595981048477", "one")
			sink := s.open()
			one := s.log(sink, claim)
			first := s.acquire(one)
			events := Events(claim.Stream, 1, 9)
			c := s.commit(one, first.Checkpoint, events[:3])

			two := s.rival(sink, Claim("595981048477", "two"))
			state := s.acquire(two)
			s.wantState(state, c, events[:3])
			if state.Checkpoint.Epoch <= first.Checkpoint.Epoch || state.Checkpoint.Owner != "two" {
				s.Fatalf("epoch %d of %q after %d", state.Checkpoint.Epoch, state.Checkpoint.Owner, first.Checkpoint.Epoch)
			}
			// The fenced owner is told at every attempt, with events and without.
			stale := eventsOf("one", claim.Stream, 4, 2)
			s.wantFenced(one.Commit(s.context(), stale, nil, Next(c, stale, nil, 3)))
			s.wantFenced(one.Commit(s.context(), nil, nil, Next(c, nil, nil, 3)))
			s.wantFenced(one.Commit(s.context(), nil, []connector.Reject{Reject(claim.Stream, 1)}, Next(c, nil, nil, 3)))
			c = s.commit(two, c, events[3:6])
			s.wantFenced(one.Commit(s.context(), stale, nil, Next(c, stale, nil, 3)))
			s.wantLog(claim.Stream.Name, events[:6])
			if got, _ := s.quarantined(claim.Stream.Name); len(got) != 0 {
				s.Fatalf("a fenced owner wrote %d rejects", len(got))
			}
			// Back again, by its own take-over.
			s.wantState(s.acquire(one), c, events[:6])
			s.commit(one, c, events[6:])
			s.wantFenced(two.Commit(s.context(), stale, nil, Next(c, stale, nil, 3)))
			s.wantLog(claim.Stream.Name, events)
		},
	},
	{
		name: "owner: whoever was fenced before it committed anything writes nothing", except: unlessFencing,
		test: func(s *scene) {
			claim := Claim("595981048477", "one")
			sink := s.open()
			one := s.log(sink, claim)
			state := s.acquire(one)
			two := s.rival(sink, Claim("595981048477", "two"))
			s.acquire(two)
			events := Events(claim.Stream, 1, 2)
			s.wantFenced(one.Commit(s.context(), events, nil, Next(state.Checkpoint, events, nil, 0)))
			s.wantLog(claim.Stream.Name, nil)
		},
	},
	{name: "owner: two that race write each message once, in order", except: unlessFencing, test: race},
	{
		name: "owner: a second sink on a storage in use is refused, and takes nothing", except: unlessExclusive,
		test: func(s *scene) {
			claim := Claim("595981048477", "one")
			sink := s.open()
			log := s.log(sink, claim)
			events := Events(claim.Stream, 1, 4)
			c := s.commit(log, s.acquire(log).Checkpoint, events[:2])
			second := s.open()
			other := s.log(second, Claim("595981048477", "two"))
			_, err := other.Acquire(s.context())
			s.wantRefusal(err)
			s.commit(log, c, events[2:])
			s.wantLog(claim.Stream.Name, events)
			// Once the first has gone, the second may take over.
			closeAll(s, log, sink)
			s.wantSeen(s.acquire(other).Seen, events)
		},
	},
	{name: "owner: two sinks on one storage see what the other wrote", except: unlessSharing, test: func(s *scene) {
		claim := Claim("595981048477", "one")
		logs := []connector.Log{s.log(s.open(), claim), s.log(s.open(), Claim("595981048477", "two"))}
		var events []connector.Event
		for i := range 6 {
			log := logs[i%2]
			state := s.acquire(log)
			s.wantSeen(state.Seen, events)
			piece := Events(claim.Stream, state.Checkpoint.Sequence+1, 2)
			s.commit(log, state.Checkpoint, piece)
			events = append(events, piece...)
		}
		s.wantLog(claim.Stream.Name, events)
	}},
	{name: "close: more than once, and then nothing is written", test: func(s *scene) {
		claim := Claim("595981048477", "one")
		sink := s.open()
		log := s.log(sink, claim)
		events := Events(claim.Stream, 1, 4)
		c := s.commit(log, s.acquire(log).Checkpoint, events[:2])
		closeAll(s, log, log)
		if err := log.Commit(s.context(), events[2:], nil, Next(c, events[2:], nil, 2)); err == nil {
			s.Fatal("Commit after Close: no error")
		}
		s.wantLog(claim.Stream.Name, events[:2])
		again := s.log(sink, claim)
		s.wantState(s.acquire(again), c, events[:2])
		closeAll(s, again, sink, sink)
	}},
	{name: "close: a log and a sink that were never used", test: func(s *scene) {
		sink := s.open()
		log := sink.Log(Claim("595981048477", "one"))
		closeAll(s, log, log, sink, sink)
	}},
	{name: "close: leaves no goroutine behind", test: func(s *scene) {
		var begun begun
		begun.by(s, func() {
			claim := Claim("595981048477", "one")
			sink := s.open()
			log := s.log(sink, claim)
			c := s.acquire(log).Checkpoint
			for i := range 3 {
				c = s.commit(log, c, Events(claim.Stream, uint64(1+2*i), 2))
			}
			if begun.running(s) == "" {
				s.Log("the sink runs no goroutines of its own")
			}
			closeAll(s, log, sink)
		})
		ctx := s.context()
		for {
			left := begun.running(s)
			if left == "" {
				return
			}
			if connector.Sleep(ctx, 20*time.Millisecond) != nil {
				s.Fatalf("still running:\n%s", left)
			}
		}
	}},
}

func (s *scene) wantFenced(err error) {
	s.Helper()
	if !errors.Is(err, connector.ErrFenced) {
		s.Fatalf("got %v, want ErrFenced", err)
	}
}

// contender is one of the owners in a race: it takes the stream over, commits for a while, and repeats that.
type contender struct {
	log   connector.Log
	claim connector.Claim

	written []connector.Event // all that it tried to write
	done    map[string]bool   // the ids of the events that were reported as written
	epochs  []uint64
	err     error
}

func race(s *scene) {
	const rounds = 25
	sink := s.open()
	contenders := []*contender{{claim: Claim("595981048477", "one")}, {claim: Claim("595981048477", "two")}}
	var running sync.WaitGroup
	for i, c := range contenders {
		c.log, c.done = s.rival(sink, c.claim), map[string]bool{}
		random := rand.New(rand.NewPCG(1, uint64(i)))
		running.Go(func() { c.err = c.run(s, rounds, random) })
	}
	running.Wait()

	stream := contenders[0].claim.Stream
	expected := map[string]connector.Event{}
	var done int
	for _, c := range contenders {
		if c.err != nil {
			s.Fatalf("%s: %v", c.claim.Instance, c.err)
		}
		for i, epoch := range c.epochs {
			if i > 0 && epoch <= c.epochs[i-1] {
				s.Fatalf("%s: epoch %d after %d", c.claim.Instance, epoch, c.epochs[i-1])
			}
		}
		done += len(c.done)
		for _, e := range c.written {
			expected[fmt.Sprint(e.ID, e.Sequence)] = e
		}
	}
	if done == 0 {
		s.Fatal("no commit got through")
	}
	state := s.acquire(s.rival(sink, Claim("595981048477", "last")))
	stored := s.storage.Read(s.T, stream.Name)
	if uint64(len(stored)) != state.Checkpoint.Sequence {
		s.Fatalf("%d events are there, the checkpoint says %d", len(stored), state.Checkpoint.Sequence)
	}
	for i, got := range stored {
		e, ok := expected[fmt.Sprint(got.ID, got.Sequence)]
		if !ok || got.Sequence != uint64(i+1) {
			s.Fatalf("event %d has sequence %d, written by one of the two: %t", i+1, got.Sequence, ok)
		}
		if difference := sameStored(got, want(&e)); difference != "" {
			s.Fatalf("event %d: %s", i+1, difference)
		}
		for _, c := range contenders {
			delete(c.done, got.ID)
		}
	}
	for _, c := range contenders {
		if len(c.done) != 0 {
			s.Fatalf("%s: %d events are lost that it was told are written", c.claim.Instance, len(c.done))
		}
	}
	s.Logf("%d events, %d commits' worth acknowledged, epoch %d", len(stored), done, state.Checkpoint.Epoch)
}

func (c *contender) run(s *scene, rounds int, random *rand.Rand) error {
	ctx := s.context()
	for range rounds {
		if connector.Sleep(ctx, time.Duration(random.IntN(4_000))*time.Microsecond) != nil {
			return ctx.Err()
		}
		state, err := c.log.Acquire(ctx)
		if err != nil {
			var refusal *connector.Refusal
			if errors.As(err, &refusal) {
				return err
			}
			continue
		}
		c.epochs = append(c.epochs, state.Checkpoint.Epoch)
		if n := len(state.Seen); n > 0 && state.Seen[n-1].Sequence != state.Checkpoint.Sequence {
			return fmt.Errorf("the window ends at %d, the checkpoint says %d", state.Seen[n-1].Sequence,
				state.Checkpoint.Sequence)
		}
		checkpoint := state.Checkpoint
		for range 1 + random.IntN(6) {
			events := eventsOf(c.claim.Instance, c.claim.Stream, checkpoint.Sequence+1, 1+random.IntN(4))
			next := Next(checkpoint, events, nil, checkpoint.Sequence)
			c.written = append(c.written, events...)
			if err := c.log.Commit(ctx, events, nil, next); err != nil {
				var rejected *connector.Rejected
				if errors.As(err, &rejected) {
					return err
				}
				break
			}
			for i := range events {
				c.done[events[i].ID] = true
			}
			checkpoint = next
			if connector.Sleep(ctx, time.Duration(random.IntN(500))*time.Microsecond) != nil {
				return ctx.Err()
			}
		}
	}
	return nil
}
