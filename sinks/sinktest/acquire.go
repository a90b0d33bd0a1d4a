package sinktest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// acquireRules are the clauses of Log.Acquire and Log.Peek that need only one owner.
var acquireRules = []rule{
	{name: "acquire: an empty storage gives the first checkpoint of the stream", test: func(s *scene) {
		claim := Claim("595981048477", "one")
		state := s.acquire(s.log(s.open(), claim))
		c := state.Checkpoint
		if c.Version != connector.CheckpointVersion || c.Stream != claim.Stream.Name ||
			c.SourceKey != claim.Stream.SourceKey || c.Privacy != Privacy {
			s.Fatalf("identity: %+v", c)
		}
		if c.Started || c.Sequence != 0 || c.Certified != 0 || len(c.Tail) != 0 || len(state.Seen) != 0 {
			s.Fatalf("not the beginning: %+v", state)
		}
		if c.Epoch == 0 || c.Owner != "one" {
			s.Fatalf("epoch %d, owner %q: want 1 or more, and this instance", c.Epoch, c.Owner)
		}
	}},
	{name: "acquire: returns the checkpoint and the seen window as committed", test: func(s *scene) {
		claim := Claim("595981048477", "one")
		sink := s.open()
		log := s.log(sink, claim)
		events := Events(claim.Stream, 1, 40)
		c := s.commit(log, s.acquire(log).Checkpoint, events[:25])
		c = s.commit(log, c, events[25:], Reject(claim.Stream, 1), Reject(claim.Stream, 2))
		s.wantState(s.acquire(log), c, events)
		_, _, state := s.reopened(sink, log, claim)
		s.wantState(state, c, events)
		s.wantLog(claim.Stream.Name, events)
	}},
	{name: "acquire: the window keeps the newest, in log order", test: func(s *scene) {
		claim := Claim("595981048477", "one")
		claim.Window = 10
		sink := s.open()
		log := s.log(sink, claim)
		events := Events(claim.Stream, 1, 25)
		c := s.commit(log, s.acquire(log).Checkpoint, events)
		s.wantState(s.acquire(log), c, events[15:])
		_, _, state := s.reopened(sink, log, claim)
		s.wantState(state, c, events[15:])
	}},
	{name: "acquire: a long window survives", test: func(s *scene) {
		claim := Claim("595981048477", "one")
		sink := s.open()
		log := s.log(sink, claim)
		events := Events(claim.Stream, 1, 700)
		c := s.commitAll(log, s.acquire(log).Checkpoint, events)
		_, _, state := s.reopened(sink, log, claim)
		s.wantState(state, c, events)
	}},
	{name: "acquire: the whole window survives, among other streams", except: unlessKept, test: func(s *scene) {
		claim, other := Claim("595981048477", "one"), Claim("595981048478", "one")
		claim.Window, other.Window = 2_000, 2_000
		sink := s.open()
		logs := []connector.Log{s.log(sink, claim), s.log(sink, other)}
		events := [][]connector.Event{Events(claim.Stream, 1, 2_300), Events(other.Stream, 1, 1_700)}
		checkpoints := []connector.Checkpoint{s.acquire(logs[0]).Checkpoint, s.acquire(logs[1]).Checkpoint}
		for from := 0; from < len(events[0]); from += 100 {
			for i := range logs {
				if piece := events[i][min(from, len(events[i])):min(from+100, len(events[i]))]; len(piece) > 0 {
					checkpoints[i] = s.commit(logs[i], checkpoints[i], piece)
				}
			}
		}
		if err := logs[1].Close(); err != nil {
			s.Fatalf("close log: %v", err)
		}
		sink, _, state := s.reopened(sink, logs[0], claim)
		s.wantState(state, checkpoints[0], events[0][300:])
		log := s.log(sink, other)
		s.wantState(s.acquire(log), checkpoints[1], events[1])
		s.wantState(s.acquire(log), checkpoints[1], events[1])
	}},
	{name: "acquire: nothing uncertified is forgotten", test: func(s *scene) {
		claim := Claim("595981048477", "one")
		sink := s.open()
		log := s.log(sink, claim)
		events := Events(claim.Stream, 1, 600)
		c := s.acquire(log).Checkpoint
		for i := 0; i < len(events); i += 100 {
			next := Next(c, events[i:i+100], nil, 10)
			s.commitAs(log, events[i:i+100], nil, next)
			c = next
		}
		_, _, state := s.reopened(sink, log, claim)
		s.wantState(state, c, events)
	}},
	{name: "acquire: again and again, at any time, with a growing epoch", test: func(s *scene) {
		claim := Claim("595981048477", "one")
		log := s.log(s.open(), claim)
		var events []connector.Event
		var epoch uint64
		for i := range 6 {
			state := s.acquire(log)
			if state.Checkpoint.Epoch <= epoch {
				s.Fatalf("epoch %d after %d", state.Checkpoint.Epoch, epoch)
			}
			epoch = state.Checkpoint.Epoch
			s.wantSeen(state.Seen, events)
			if i%2 == 0 {
				state = s.acquire(log)
				epoch = state.Checkpoint.Epoch
			}
			piece := Events(claim.Stream, state.Checkpoint.Sequence+1, 3)
			s.commit(log, state.Checkpoint, piece)
			events = append(events, piece...)
		}
		s.wantLog(claim.Stream.Name, events)
	}},
	{
		name: "acquire: another list under the same name is refused before any take-over", except: unlessFencing,
		test: func(s *scene) {
			other := Claim("595981048477", "other")
			other.Stream.SourceKey = Stream("another list").SourceKey
			refusedWithoutEffect(s, Claim("595981048477", "one"), other)
		},
	},
	{name: "acquire: another privacy mode is refused before any take-over", except: unlessFencing, test: func(s *scene) {
		other := Claim("595981048477", "other")
		other.Privacy = "clear"
		refusedWithoutEffect(s, Claim("595981048477", "one"), other)
	}},
	{name: "acquire: another privacy mode is accepted at the operator's word", test: func(s *scene) {
		claim := Claim("595981048477", "one")
		sink := s.open()
		log := s.log(sink, claim)
		events := Events(claim.Stream, 1, 5)
		c := s.commit(log, s.acquire(log).Checkpoint, events)
		claim.Privacy, claim.Rekey = "clear", true
		_, _, state := s.reopened(sink, log, claim)
		c.Privacy = "clear"
		c.FormerKeys = []connector.FormerKey{{Privacy: "hashed", SourceKey: c.SourceKey, Last: 5}}
		s.wantState(state, c, events)
	}},
	{name: "acquire: a list that is held under another name is refused", except: unlessFencing, test: func(s *scene) {
		claim := Claim("595981048477", "one")
		alias := Claim("support", "other")
		alias.Stream.SourceKey = claim.Stream.SourceKey
		sink := refusedWithoutEffect(s, claim, alias)
		if _, found, err := s.rival(sink, alias).Peek(s.context()); err != nil || found {
			s.Fatalf("Peek at the alias: found %t, %v; want nothing there", found, err)
		}
	}},
	{
		name: "acquire: a list that is held under another name and its former key is refused", except: unlessFencing,
		test: func(s *scene) {
			claim := Claim("595981048477", "one")
			alias := Claim("support", "other")
			alias.Stream.SourceKey, alias.Stream.FormerKey = Stream("of no list").SourceKey, claim.Stream.SourceKey
			sink := refusedWithoutEffect(s, claim, alias)
			if _, found, err := s.rival(sink, alias).Peek(s.context()); err != nil || found {
				s.Fatalf("Peek at the alias: found %t, %v; want nothing there", found, err)
			}
		},
	},
	{
		name: "acquire: a renamed list is no alias, and goes on from the checkpoint that is brought", except: unlessFencing,
		test: func(s *scene) {
			claim, current := Claim("595981048477", "one"), Claim("support", "two")
			sink := s.open()
			log := s.log(sink, claim)
			c := s.commit(log, s.acquire(log).Checkpoint, Events(claim.Stream, 1, 5))
			current.Stream.SourceKey = claim.Stream.SourceKey
			current.Rename = &connector.Rename{From: claim.Stream.Name, To: current.Stream.Name}
			next := s.log(sink, current.With(c))
			state := s.acquire(next)
			if got := state.Checkpoint; got.Stream != "support" || !got.SameState(&c) || !slices.Equal(got.Tail, c.Tail) ||
				got.Epoch <= c.Epoch {
				s.Fatalf("the new name has %+v; want the state of %+v", got, c)
			}
			events := Events(current.Stream, 6, 2)
			last := s.commit(next, state.Checkpoint, events)
			_, _, state = s.reopened(sink, next, current)
			if got := state.Checkpoint; got.Sequence != 7 || !slices.Equal(got.Tail, last.Tail) {
				s.Fatalf("it goes on to %d with %d keys; want 7, with %d", got.Sequence, len(got.Tail), len(last.Tail))
			}
		},
	},
	{name: "acquire: a checkpoint with the list's former key is taken over, and gets the new one", test: func(s *scene) {
		claim := Claim("595981048477", "one")
		sink := s.open()
		log := s.log(sink, claim)
		events := Events(claim.Stream, 1, 5)
		c := s.commit(log, s.acquire(log).Checkpoint, events)
		claim.Stream.SourceKey, claim.Stream.FormerKey = Stream("of no list").SourceKey, claim.Stream.SourceKey
		sink, log, state := s.reopened(sink, log, claim)
		c.FormerKeys = []connector.FormerKey{{Privacy: c.Privacy, SourceKey: c.SourceKey, Last: 5}}
		c.SourceKey = claim.Stream.SourceKey
		s.wantState(state, c, events)
		claim.Stream.FormerKey = ""
		_, _, state = s.reopened(sink, log, claim)
		s.wantState(state, c, events)
	}},
	{
		name:   "acquire: events without a checkpoint are refused, and accepted as the log so far at the operator's word",
		except: unlessForget, test: func(s *scene) {
			claim := Claim("595981048477", "one")
			sink := s.open()
			log := s.log(sink, claim)
			events := Events(claim.Stream, 1, 12)
			s.commit(log, s.acquire(log).Checkpoint, events)
			closeAll(s, log, sink)
			s.storage.Forget(s.T, claim.Stream.Name)

			sink = s.open()
			log = s.log(sink, claim)
			_, err := log.Acquire(s.context())
			s.wantRefusal(err)
			closeAll(s, log, sink)

			claim.FirstStart = true
			sink = s.open()
			log = s.log(sink, claim)
			state := s.acquire(log)
			if state.Checkpoint.Sequence != 12 || state.Checkpoint.Epoch == 0 {
				s.Fatalf("sequence %d, epoch %d: want 12, and 1 or more", state.Checkpoint.Sequence, state.Checkpoint.Epoch)
			}
			s.wantSeen(state.Seen, events)
			more := Events(claim.Stream, 13, 4)
			s.commitAs(log, more, nil, Next(state.Checkpoint, more, nil, state.Checkpoint.Certified))
			s.wantLog(claim.Stream.Name, append(events, more...))

			// The option applies once; given again it changes nothing.
			_, _, state = s.reopened(sink, log, claim)
			if state.Checkpoint.Sequence != 16 {
				s.Fatalf("sequence %d, want 16", state.Checkpoint.Sequence)
			}
		},
	},
	{
		name: "acquire: a sequence that the operator names is not used again, in an empty storage and above what is there",
		test: func(s *scene) {
			for i, name := range []string{"595981048477", "595981048478"} {
				claim := Claim(name, "one")
				var before []connector.Event
				if i > 0 {
					sink := s.open()
					log := s.log(sink, claim)
					before = Events(claim.Stream, 1, 5)
					s.commit(log, s.acquire(log).Checkpoint, before)
					closeAll(s, log, sink)
				}
				claim.FirstStart, claim.After = true, 30
				sink := s.open()
				log := s.log(sink, claim)
				state := s.acquire(log)
				if c := state.Checkpoint; c.Sequence != 30 || c.Certified != 30 || len(c.Tail) != 0 {
					s.Fatalf("sequence %d, certified %d, %d keys; want 30, 30, none", c.Sequence, c.Certified, len(c.Tail))
				}
				more := Events(claim.Stream, 31, 4)
				c := Next(state.Checkpoint, more, nil, 30)
				s.commitAs(log, more, nil, c)
				s.wantLog(claim.Stream.Name, append(before, more...))

				// The option applies once; given again, or omitted, it changes nothing.
				sink, log, state = s.reopened(sink, log, claim)
				if state.Checkpoint.Sequence != 34 {
					s.Fatalf("given again: sequence %d, want 34", state.Checkpoint.Sequence)
				}
				claim.FirstStart, claim.After = false, 0
				sink, log, state = s.reopened(sink, log, claim)
				if n := len(state.Seen); state.Checkpoint.Sequence != 34 || n < 4 || state.Seen[n-1].Sequence != 34 {
					s.Fatalf("afterwards: sequence %d, %d seen", state.Checkpoint.Sequence, n)
				}
				closeAll(s, log, sink)
			}
		},
	},
	{
		name: "acquire: what was erased is missing in the window, and nothing else", except: unlessErase,
		test: func(s *scene) {
			claim := Claim("595981048477", "one")
			sink := s.open()
			log := s.log(sink, claim)
			events := Events(claim.Stream, 1, 10)
			c := s.commit(log, s.acquire(log).Checkpoint, events)
			closeAll(s, log, sink)
			s.storage.Erase(s.T, claim.Stream.Name, 4)
			s.storage.Erase(s.T, claim.Stream.Name, 10)

			log = s.log(s.open(), claim)
			state := s.acquire(log)
			s.wantCheckpoint(state.Checkpoint, c)
			s.wantSeen(state.Seen, append(append([]connector.Event(nil), events[:3]...), events[4:9]...))
			more := Events(claim.Stream, 11, 2)
			s.commit(log, state.Checkpoint, more)
			state = s.acquire(log)
			if n := len(state.Seen); n != 10 || state.Seen[n-1].Sequence != 12 {
				s.Fatalf("%d seen after two more, want 10, the last with sequence 12", n)
			}
		},
	},
	{
		name: "acquire: a sink that is down is ErrNotNow, and nothing is lost or doubled by it", except: unlessStop,
		test: func(s *scene) {
			claim := Claim("595981048477", "one")
			log := s.log(s.open(), claim)
			events := Events(claim.Stream, 1, 20)
			c := s.commit(log, s.acquire(log).Checkpoint, events[:10])
			start := s.storage.Stop(s.T)
			s.wantDown(log.Commit(s.context(), events[10:], nil, Next(c, events[10:], nil, 10)))
			_, err := log.Acquire(s.context())
			if !errors.Is(err, connector.ErrNotNow) {
				s.Fatalf("Acquire: got %v, want ErrNotNow", err)
			}
			fresh := s.log(s.open(), claim)
			if _, err = fresh.Acquire(s.context()); !errors.Is(err, connector.ErrNotNow) {
				s.Fatalf("Acquire of a sink opened meanwhile: got %v, want ErrNotNow", err)
			}
			start(s.T)
			state := s.acquire(log)
			left := events[state.Checkpoint.Sequence:]
			if len(left) != 0 && s.suite.Promise == AllOrNothing && len(left) != 10 {
				s.Fatalf("a part of a commit: the sequence is %d", state.Checkpoint.Sequence)
			}
			s.commit(log, state.Checkpoint, left)
			if s.suite.Promise != BestEffort {
				s.wantLog(claim.Stream.Name, events)
			}
		},
	},
	{name: "acquire: a context that ended is answered at once", test: func(s *scene) {
		log := s.log(s.open(), Claim("595981048477", "one"))
		ctx, cancel := context.WithCancel(s.Context())
		cancel()
		began := time.Now()
		if _, err := log.Acquire(ctx); err == nil {
			s.Fatal("Acquire: no error")
		}
		if _, _, err := log.Peek(ctx); err == nil {
			s.Fatal("Peek: no error")
		}
		if took := time.Since(began); took > 2*time.Second {
			s.Fatalf("it took %v", took)
		}
		s.acquire(log)
	}},
	{name: "peek: finds nothing in an empty storage, and leaves it empty", test: func(s *scene) {
		sink := s.open()
		for range 2 {
			if _, found, err := s.log(sink, Claim("595981048477", "one")).Peek(s.context()); err != nil || found {
				s.Fatalf("found %t, %v", found, err)
			}
		}
	}},
	{name: "peek: returns the newest checkpoint, and takes nothing from its owner", test: func(s *scene) {
		claim := Claim("595981048477", "one")
		sink := s.open()
		log := s.log(sink, claim)
		state := s.acquire(log)
		c := state.Checkpoint
		events := Events(claim.Stream, 1, 9)
		for i := range 3 {
			c = s.commit(log, c, events[3*i:3*i+3])
			got, found, err := s.rival(sink, Claim("595981048477", "two")).Peek(s.context())
			if err != nil || !found {
				s.Fatalf("found %t, %v", found, err)
			}
			s.wantCheckpoint(got, c)
			if got.Owner != "one" || got.Epoch != state.Checkpoint.Epoch {
				s.Fatalf("owner %q, epoch %d; want one, %d", got.Owner, got.Epoch, state.Checkpoint.Epoch)
			}
		}
		s.wantLog(claim.Stream.Name, events)
	}},
}

// refusedWithoutEffect lets one own a stream, checks that the other is refused, and that one goes on unaffected.
func refusedWithoutEffect(s *scene, one, other connector.Claim) Sink {
	s.Helper()
	sink := s.open()
	log := s.log(sink, one)
	events := Events(one.Stream, 1, 6)
	state := s.acquire(log)
	c := s.commit(log, state.Checkpoint, events[:3])
	_, err := s.rival(sink, other).Acquire(s.context())
	s.wantRefusal(err)
	c = s.commit(log, c, events[3:]) // still the owner
	got := s.acquire(log)
	s.wantState(got, c, events)
	if got.Checkpoint.SourceKey != one.Stream.SourceKey || got.Checkpoint.Privacy != one.Privacy {
		s.Fatalf("identity: %+v", got.Checkpoint)
	}
	s.wantLog(one.Stream.Name, events)
	return sink
}

// wantDown checks the outcome of a commit while the sink is down: not now, or unclear.
func (s *scene) wantDown(err error) {
	s.Helper()
	var rejected *connector.Rejected
	var refusal *connector.Refusal
	if err == nil || errors.Is(err, connector.ErrFenced) || errors.As(err, &rejected) || errors.As(err, &refusal) {
		s.Fatalf("Commit while the sink is down: %v", err)
	}
}

func closeAll(t testing.TB, closers ...interface{ Close() error }) {
	t.Helper()
	for _, c := range closers {
		if err := c.Close(); err != nil {
			t.Fatal(fmt.Errorf("close: %w", err))
		}
	}
}
