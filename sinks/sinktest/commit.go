package sinktest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// commitRules are the clauses of Log.Commit and Log.Limits.
var commitRules = []rule{
	{name: "commit: order, every attribute and the data byte for byte", test: func(s *scene) {
		claim := Claim("595981048477", "one")
		log := s.log(s.open(), claim)
		c := s.acquire(log).Checkpoint
		events := Events(claim.Stream, 1, 60)
		for i := 0; i < len(events); i += 20 {
			c = s.commit(log, c, events[i:i+20])
		}
		s.wantLog(claim.Stream.Name, events)
	}},
	{name: "commit: nil means durable", test: func(s *scene) {
		claim := Claim("595981048477", "one")
		sink := s.open()
		log := s.log(sink, claim)
		var events []connector.Event
		for range 4 {
			state := s.acquire(log)
			piece := Events(claim.Stream, state.Checkpoint.Sequence+1, 5)
			c := s.commit(log, state.Checkpoint, piece)
			events = append(events, piece...)
			sink, log, state = s.reopened(sink, log, claim)
			s.wantState(state, c, events)
		}
	}},
	{name: "commit: a checkpoint alone", test: func(s *scene) {
		claim := Claim("595981048477", "one")
		sink := s.open()
		log := s.log(sink, claim)
		events := Events(claim.Stream, 1, 4)
		c := s.commit(log, s.acquire(log).Checkpoint, events)
		c = Next(c, nil, nil, 4)
		s.commitAs(log, nil, nil, c)
		c = Next(c, []connector.Event{}, []connector.Reject{}, 4)
		s.commitAs(log, []connector.Event{}, []connector.Reject{}, c)
		_, _, state := s.reopened(sink, log, claim)
		s.wantState(state, c, events)
		s.wantLog(claim.Stream.Name, events)
	}},
	{name: "commit: a checkpoint alone is the first of all", test: func(s *scene) {
		claim := Claim("595981048477", "one")
		sink := s.open()
		log := s.log(sink, claim)
		c := Next(s.acquire(log).Checkpoint, nil, nil, 0)
		s.commitAs(log, nil, nil, c)
		_, _, state := s.reopened(sink, log, claim)
		s.wantState(state, c, nil)
	}},
	{name: "commit: rejects go to the quarantine, with and without events", test: func(s *scene) {
		claim := Claim("595981048477", "one")
		sink := s.open()
		log := s.log(sink, claim)
		events := Events(claim.Stream, 1, 3)
		rejects := []connector.Reject{Reject(claim.Stream, 0), Reject(claim.Stream, 1), Reject(claim.Stream, 2)}
		rejects[2].Raw = []byte{} // withheld
		c := s.commit(log, s.acquire(log).Checkpoint, events, rejects[:2]...)
		c = s.commit(log, c, nil, rejects[2])
		_, _, state := s.reopened(sink, log, claim)
		s.wantState(state, c, events)
		s.wantLog(claim.Stream.Name, events)
		got, ok := s.quarantined(claim.Stream.Name)
		if !ok {
			return
		}
		if len(got) != len(rejects) {
			s.Fatalf("%d rejects in quarantine, want %d", len(got), len(rejects))
		}
		for i, r := range rejects {
			want := Quarantined{
				claim.Stream.Source(), TypePrefix + connector.RejectType, r.Reason, r.Length, r.Hash,
				r.Length > len(r.Raw), r.Raw,
			}
			if fmt.Sprintf("%+v", got[i]) != fmt.Sprintf("%+v", want) {
				s.Fatalf("reject %d: got %+v, want %+v", i, got[i], want)
			}
		}
	}},
	{name: "commit: keeps none of its arguments", test: func(s *scene) {
		claim := Claim("595981048477", "one")
		log := s.log(s.open(), claim)
		original := Events(claim.Stream, 1, 8)
		given := Events(claim.Stream, 1, 8)
		rejects := []connector.Reject{Reject(claim.Stream, 1)}
		c := s.acquire(log).Checkpoint
		next := Next(c, given, rejects, 5)
		kept := Next(c, original, rejects, 5)
		s.commitAs(log, given, rejects, next)
		for i := range given {
			for j := range given[i].Data {
				given[i].Data[j] = '#'
			}
			given[i] = connector.Event{ID: "spoilt"}
		}
		for i := range rejects[0].Raw {
			rejects[0].Raw[i] = '#'
		}
		for i := range next.Tail {
			next.Tail[i] = connector.Key{}
		}
		clear(next.TailLate)
		clear(next.Floor)
		s.wantState(s.acquire(log), kept, original)
		s.wantLog(claim.Stream.Name, original)
		if got, ok := s.quarantined(claim.Stream.Name); ok &&
			(len(got) != 1 || string(got[0].Raw) != string(Reject(claim.Stream, 1).Raw)) {
			s.Fatalf("quarantine: %+v", got)
		}
	}},
	{name: "limits: a commit of exactly as many messages", test: func(s *scene) {
		claim := Claim("595981048477", "one")
		sink := s.open()
		log := s.log(sink, claim)
		limits := log.Limits()
		if limits.Messages < 1 || limits.Bytes < 1 {
			s.Fatalf("limits: %+v", limits)
		}
		rejects := []connector.Reject{}
		if limits.Messages > 1 {
			rejects = append(rejects, Reject(claim.Stream, 1))
		}
		n := limits.Messages - len(rejects)
		events := Events(claim.Stream, 1, n)
		for i := range events { // many messages, few bytes
			if limits.Bytes/limits.Messages < 200 {
				events[i].Data = []byte(`{}`)
			}
		}
		c := s.acquire(log).Checkpoint
		next := Next(c, events, rejects, uint64(n-min(n, 50)))
		s.commitAs(log, events, rejects, next)
		_, _, state := s.reopened(sink, log, claim)
		s.wantState(state, next, events[max(0, n-claim.Window):])
		s.wantLog(claim.Stream.Name, events)
	}},
	{name: "limits: a commit of exactly as many bytes", test: func(s *scene) {
		claim := Claim("595981048477", "one")
		log := s.log(s.open(), claim)
		limits := log.Limits()
		c := s.acquire(log).Checkpoint
		n := min(limits.Messages, 64)
		if s.suite.Oversized > 0 {
			n = min(limits.Messages, max(n, 2*limits.Bytes/s.suite.Oversized+1))
		}
		events := Events(claim.Stream, 1, n)
		left := min(limits.Bytes, 32<<20)
		for i := range events {
			size := left / (n - i)
			events[i].Data = fill(size)
			left -= size
		}
		s.commit(log, c, events)
		s.wantLog(claim.Stream.Name, events)
	}},
	{
		name: "commit: a message that is too large is rejected by name, and the others can go on", except: unlessOversized,
		test: func(s *scene) {
			claim := Claim("595981048477", "one")
			log := s.log(s.open(), claim)
			events := Events(claim.Stream, 1, 9)
			c := s.commit(log, s.acquire(log).Checkpoint, events[:3])

			large := Events(claim.Stream, 4, 1)
			large[0].Data = fill(s.suite.Oversized)
			s.wantRejected(log.Commit(s.context(), large, nil, Next(c, large, nil, 3)), large[0].Key)

			among := slices.Clone(events[3:6])
			among[1].Data = large[0].Data
			s.wantRejected(log.Commit(s.context(), among, nil, Next(c, among, nil, 3)), among[1].Key)
			s.wantLog(claim.Stream.Name, events[:3])

			// Without it the commit succeeds, with no Acquire in between.
			c = s.commit(log, c, events[3:], Reject(claim.Stream, 1))
			s.wantState(s.acquire(log), c, events)
			s.wantLog(claim.Stream.Name, events)
		},
	},
	{
		name:   "commit: a reject whose item is too large is rejected by name, and without the item it is kept",
		except: unlessOversizedItem,
		test: func(s *scene) {
			claim := Claim("595981048477", "one")
			log := s.log(s.open(), claim)
			c := s.acquire(log).Checkpoint
			reject, other := Reject(claim.Stream, 2), Reject(claim.Stream, 1)
			reject.Raw = []byte(strings.Repeat("x", s.suite.OversizedItem))
			events := Events(claim.Stream, 1, 3)
			rejects := []connector.Reject{other, reject}
			s.wantRejected(log.Commit(s.context(), events, rejects, Next(c, events, rejects, 3)), reject.Key)
			s.wantLog(claim.Stream.Name, nil)

			rejects[1].Raw = nil
			c = s.commit(log, c, events, rejects...)
			s.wantState(s.acquire(log), c, events)
			s.wantLog(claim.Stream.Name, events)
		},
	},
	{name: "commit: before any Acquire nothing is written", test: func(s *scene) {
		claim := Claim("595981048477", "one")
		log := s.log(s.open(), claim)
		events := Events(claim.Stream, 1, 2)
		first := claim.TakeOver(connector.Checkpoint{}, day)
		if err := log.Commit(s.context(), events, nil, Next(first, events, nil, 0)); err == nil {
			s.Fatal("Commit without Acquire: no error")
		}
		s.wantState(s.acquire(log), connector.Checkpoint{
			Version: connector.CheckpointVersion, Stream: claim.Stream.Name,
			SourceKey: claim.Stream.SourceKey, Privacy: Privacy,
		}, nil)
		s.wantLog(claim.Stream.Name, nil)
	}},
	{name: "commit: a context that ends leaves one of the outcomes, which Acquire finds out", test: func(s *scene) {
		claim := Claim("595981048477", "one")
		sink := s.open()
		log := s.log(sink, claim)
		state := s.acquire(log)
		var events []connector.Event
		for round := range 24 {
			piece := Events(claim.Stream, state.Checkpoint.Sequence+1, 7)
			next := Next(state.Checkpoint, piece, nil, state.Checkpoint.Sequence)
			ctx, cancel := context.WithCancel(s.Context())
			if round == 0 {
				cancel()
			}
			stop := time.AfterFunc(time.Duration(round*round)*20*time.Microsecond, cancel)
			began := time.Now()
			err := log.Commit(ctx, piece, nil, next)
			took := time.Since(began)
			stop.Stop()
			cancel()
			if took > 5*time.Second {
				s.Fatalf("round %d: the commit returned after %v", round, took)
			}
			if errors.Is(err, connector.ErrFenced) {
				s.Fatalf("round %d: fenced by nobody", round)
			}
			if round%6 == 5 {
				sink, log, state = s.reopened(sink, log, claim)
			} else {
				state = s.acquire(log)
			}
			written := int(state.Checkpoint.Sequence) - len(events)
			switch {
			case err == nil && written != len(piece):
				s.Fatalf("round %d: done, and %d of %d events are there", round, written, len(piece))
			case errors.Is(err, connector.ErrNotNow) && written != 0:
				s.Fatalf("round %d: not now, and %d events are there", round, written)
			case written < 0 || written > len(piece) || s.suite.Promise == AllOrNothing && written != 0 && written != len(piece):
				s.Fatalf("round %d: %d of %d events are there (%v)", round, written, len(piece), s.suite.Promise)
			}
			events = append(events, piece[:written]...)
			s.wantSeen(state.Seen, events)
		}
		if s.suite.Promise != BestEffort {
			s.wantLog(claim.Stream.Name, events)
		}
	}},
}

// fill makes an item of this many bytes.
func fill(size int) []byte {
	const empty = `{"text":""}`
	if size < len(empty) {
		return []byte(`{}`)
	}
	return []byte(`{"text":"` + strings.Repeat("x", size-len(empty)) + `"}`)
}

func (s *scene) wantRejected(err error, key connector.Key) {
	s.Helper()
	var rejected *connector.Rejected
	if !errors.As(err, &rejected) {
		s.Fatalf("got %v, want a *connector.Rejected", err)
	}
	if rejected.Key != key || rejected.Reason == "" {
		s.Fatalf("rejected: key %x, reason %q; want key %x and a reason", rejected.Key, rejected.Reason, key)
	}
}
