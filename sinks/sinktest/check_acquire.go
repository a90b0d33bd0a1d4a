package sinktest

import (
	"errors"

	"github.com/twochat-connector/twochat-connector/connector"
)

var checkAcquireRules = []rule{
	{name: "check acquire: admits a stream that begins, and leaves no trace", test: func(s *scene) {
		claim := Claim("595981048477", "one")
		sink := s.open()
		s.admits(sink, claim)
		if _, found, err := s.log(sink, claim).Peek(s.context()); err != nil || found {
			s.Fatalf("a checkpoint afterwards: %t, %v", found, err)
		}
		closeAll(s, sink)
		s.acquire(s.log(s.open(), claim))
	}},
	{name: "check acquire: says of a stream that is known what an acquire says, and fences nobody", test: func(s *scene) {
		claim := Claim("595981048477", "one")
		sink := s.open()
		log := s.log(sink, claim)
		events := Events(claim.Stream, 1, 8)
		state := s.acquire(log)
		c := s.commit(log, state.Checkpoint, events[:4])
		if s.suite.Exclusive {
			closeAll(s, log, sink)
		}
		looking := s.open()
		s.admits(looking, claim)
		var others []connector.Claim
		var judged []error
		for _, change := range []func(*connector.Claim){
			func(c *connector.Claim) { c.Stream.SourceKey = Stream("another list").SourceKey },
			func(c *connector.Claim) { c.Privacy = "clear" },
			func(c *connector.Claim) { c.Stream.Name = "support" },
		} {
			if s.suite.NoFence {
				continue // nothing is remembered, so nothing is refused
			}
			other := claim
			other.Instance = "other"
			change(&other)
			others, judged = append(others, other), append(judged, looking.CheckAcquire(s.context(), other))
		}
		other := claim
		other.Instance, other.Privacy, other.Rekey = "other", "clear", true
		s.admits(looking, other)
		for i := range others {
			s.wantRefusal(judged[i])
			_, err := s.log(looking, others[i]).Acquire(s.context())
			s.wantRefusal(err)
			if refusalText(judged[i]) != refusalText(err) {
				s.Errorf("judged %v, and then acquire says %v", judged[i], err)
			}
		}
		if s.suite.Exclusive {
			log = s.log(looking, claim)
			c = s.acquire(log).Checkpoint
			if c.Epoch != state.Checkpoint.Epoch+1 && !s.suite.NoFence {
				s.Errorf("the epoch is %d, and was %d: somebody took the stream over", c.Epoch, state.Checkpoint.Epoch)
			}
		}
		s.commit(log, c, events[4:]) // still the owner
		if s.suite.Promise != BestEffort {
			s.wantLog(claim.Stream.Name, events)
		}
	}},
	{name: "check acquire: refuses events without a checkpoint, as acquire", except: unlessForget, test: func(s *scene) {
		claim := Claim("595981048477", "one")
		sink := s.open()
		log := s.log(sink, claim)
		s.commit(log, s.acquire(log).Checkpoint, Events(claim.Stream, 1, 12))
		closeAll(s, log, sink)
		s.storage.Forget(s.T, claim.Stream.Name)
		sink = s.open()
		s.wantRefusal(sink.CheckAcquire(s.context(), claim))
		claim.FirstStart = true
		s.admits(sink, claim)
	}},
}

// admits checks that a claim is admitted.
func (s *scene) admits(sink Sink, claim connector.Claim) {
	s.Helper()
	if err := sink.CheckAcquire(s.context(), claim); err != nil {
		s.Fatalf("CheckAcquire: %v", err)
	}
}

func refusalText(err error) string {
	var refusal *connector.Refusal
	if errors.As(err, &refusal) {
		return refusal.Error()
	}
	return ""
}
