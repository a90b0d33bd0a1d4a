package sinktest

import (
	"errors"
	"regexp"
	"strconv"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// backRules are the clauses about a log that goes back under its owner: it is refused, with a hint how to continue, and
// never taken for a first start.
var backRules = []rule{
	{
		name: "back: a log that is taken away under its owner is refused, and nothing is written", except: unlessVanish,
		test: func(s *scene) {
			claim := Claim("595981048477", "one")
			sink := s.open()
			log := s.log(sink, claim)
			events := Events(claim.Stream, 1, 12)
			c := s.commit(log, s.acquire(log).Checkpoint, events[:10])
			s.storage.Vanish(s.T)
			s.wantGoneBack(log, c, events[10:], 10)
			s.wantLog(claim.Stream.Name, nil)
		},
	},
	{
		name: "back: a log that is taken away between two commits of a quiet stream is refused", except: unlessVanish,
		test: func(s *scene) {
			claim := Claim("595981048477", "one")
			log := s.log(s.open(), claim)
			events := Events(claim.Stream, 1, 10)
			c := s.commit(log, s.acquire(log).Checkpoint, events)
			s.storage.Vanish(s.T)
			s.wantGoneBack(log, c, nil, 10)
			s.wantLog(claim.Stream.Name, nil)
		},
	},
	{
		name: "back: a copy that is put back under its owner is refused, and what lies in it stays", except: unlessCopy,
		test: func(s *scene) {
			claim := Claim("595981048477", "one")
			log := s.log(s.open(), claim)
			events := Events(claim.Stream, 1, 12)
			c := s.commit(log, s.acquire(log).Checkpoint, events[:4])
			restore := s.storage.Copy(s.T)
			c = s.commit(log, c, events[4:10])
			restore(s.T)
			s.wantGoneBack(log, c, events[10:], 10)
			s.wantLog(claim.Stream.Name, events[:4])
		},
	},
}

var firstStart = regexp.MustCompile(`--first-start=([^ :]+):([0-9]+)`)

// most is how far a log may continue beyond what was delivered, in these tests: a checkpoint for each commit.
const most = 5

// wantGoneBack commits on top of what no longer exists: the commit fails, and then every Acquire is refused, with a
// hint that lets the sequence continue after what was delivered, or further on if a restarted sink cannot know that.
func (s *scene) wantGoneBack(log connector.Log, c connector.Checkpoint, events []connector.Event, delivered uint64) {
	s.Helper()
	err := log.Commit(s.context(), events, nil, Next(c, events, nil, c.Certified))
	if err == nil {
		s.Fatal("Commit into a log that went back: no error")
	}
	ctx := s.context()
	for range 2 {
		var refusal *connector.Refusal
		for {
			_, err = log.Acquire(ctx)
			if err == nil {
				s.Fatal("Acquire of a log that went back: no error")
			}
			if errors.As(err, &refusal) {
				break
			}
			if connector.Sleep(ctx, 50*time.Millisecond) != nil {
				s.Fatalf("Acquire: got %v, want a *connector.Refusal", err)
			}
		}
		s.wantRefusal(err)
		word := firstStart.FindStringSubmatch(refusal.Hint)
		// A log that is gone as a whole is gone for every stream in it.
		if word == nil || word[1] != c.Stream && word[1] != "all" {
			s.Fatalf("the way on is %q, want --first-start=%s:N or all:N in it", refusal.Hint, c.Stream)
		}
		if after, err := strconv.ParseUint(word[2], 10, 64); err != nil || after < delivered || after > delivered+most {
			s.Fatalf("the way on is %q, want a sequence from %d to %d in it", refusal.Hint, delivered, delivered+most)
		}
	}
}
