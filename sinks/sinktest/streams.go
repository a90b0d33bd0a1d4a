package sinktest

import (
	"fmt"
	"sync"

	"github.com/twochat-connector/twochat-connector/connector"
)

// names are stream names that are easily confused with each other, or with something else.
var names = []string{
	"595981048477", "595981048478", "a", "A", "a.b", "a b", "a=2Eb", "=", "é", "*", ">", "a.>", "..",
	"a/b", "a%2Fb", "support-history",
}

// streamRules are the clauses about several streams in one sink.
var streamRules = []rule{
	{name: "streams: do not see one another, whatever their names", test: func(s *scene) {
		sink := s.open()
		checkpoints := make([]connector.Checkpoint, len(names))
		logs := make([]connector.Log, len(names))
		for i, name := range names {
			logs[i] = s.log(sink, Claim(name, "one"))
			checkpoints[i] = s.acquire(logs[i]).Checkpoint
			if checkpoints[i].Sequence != 0 {
				s.Fatalf("%q begins at %d", name, checkpoints[i].Sequence)
			}
		}
		for round := range 3 { // taking turns, so that their events are interleaved
			for i, name := range names {
				n := 1 + (i+round)%3
				events := Events(Stream(name), checkpoints[i].Sequence+1, n)
				checkpoints[i] = s.commit(logs[i], checkpoints[i], events, Reject(Stream(name), round))
			}
		}
		for _, log := range logs {
			closeAll(s, log)
		}
		closeAll(s, sink)
		sink = s.open()
		for i, name := range names {
			events := Events(Stream(name), 1, int(checkpoints[i].Sequence))
			s.wantState(s.acquire(s.log(sink, Claim(name, "two"))), checkpoints[i], events)
			s.wantLog(name, events)
			if got, ok := s.quarantined(name); ok && len(got) != 3 {
				s.Fatalf("%q has %d rejects, want 3", name, len(got))
			}
		}
	}},
	{name: "streams: work at the same time", test: func(s *scene) {
		sink := s.open()
		var running sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			log := s.log(sink, Claim(fmt.Sprintf("stream-%d", i), "one"))
			running.Go(func() { errs[i] = concurrent(s, log, Stream(fmt.Sprintf("stream-%d", i))) })
		}
		running.Wait()
		for i, err := range errs {
			if err != nil {
				s.Fatalf("stream %d: %v", i, err)
			}
		}
		for i := range errs {
			name := fmt.Sprintf("stream-%d", i)
			s.wantLog(name, Events(Stream(name), 1, 30))
		}
	}},
}

// concurrent commits 30 events in ten commits, from a goroutine of its own.
func concurrent(s *scene, log connector.Log, stream connector.Stream) error {
	ctx := s.context()
	var sequence uint64
	for sequence < 30 {
		state, err := log.Acquire(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("acquire: %w", err)
			}
			continue
		}
		c := state.Checkpoint
		for sequence = c.Sequence; sequence < 30; sequence = c.Sequence {
			events := Events(stream, sequence+1, 3)
			next := Next(c, events, nil, sequence)
			if err := log.Commit(ctx, events, nil, next); err != nil {
				if ctx.Err() != nil {
					return fmt.Errorf("commit: %w", err)
				}
				break
			}
			c = next
		}
	}
	return nil
}
