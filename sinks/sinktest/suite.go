// Package sinktest is a conformance suite for sinks: it tests the contract of connector.Log and sinks.Sink, clause by
// clause, against a real broker or file, and reads back with another client than the sink's own.
package sinktest

import (
	"context"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Promise is the delivery guarantee of a sink: how much of a commit a crash may leave behind.
type Promise int

// The promises.
const (
	// AllOrNothing: a commit happens whole or not at all, for every reader.
	AllOrNothing Promise = iota
	// Prefix: an unclear commit leaves a prefix of its events, which the next Acquire finds. No event is lost or
	// duplicated.
	Prefix
	// BestEffort: events of an unclear commit may be lost or duplicated.
	BestEffort
)

func (p Promise) String() string { return [...]string{"all or nothing", "prefix", "best effort"}[p] }

// Sink is the part of sinks.Sink that the suite uses.
type Sink interface {
	Log(claim connector.Claim) connector.Log
	CheckAcquire(ctx context.Context, claim connector.Claim) error
	Follow(ctx context.Context, options connector.FollowOptions, each func(event []byte) error) error
	ReadBack(
		ctx context.Context, stream string, event func(connector.StoredRecord) error, reject func(reject []byte) error,
	) error
	Close() error
}

// Suite is a sink under test. With the zero value of every field but New, the whole contract is tested; each exception
// is named in the test's log.
type Suite struct {
	// New makes an empty storage, such as a topic, a JetStream stream or a folder. Each case gets its own.
	New func(t *testing.T) Storage
	// Promise is the sink's promise.
	Promise Promise
	// Oversized is a number of bytes of data that is too many for one event in this sink; 0 if there is none.
	Oversized int
	// OversizedItem is a number of bytes that is too many for the item of a reject in this sink; 0 if there is none.
	OversizedItem int
	// Exclusive means that a second sink on a storage in use gets a *connector.Refusal; owners then compete as logs of one
	// sink.
	Exclusive bool
	// Unkept means that the sink keeps no events: it remembers keys beside the checkpoint, and Follow returns no past
	// events.
	Unkept bool
	// NoFollow means that the sink cannot be read at all: Follow returns a *connector.Refusal.
	NoFollow bool
	// NoQuarantine means that rejects are only logged; Storage.Quarantined is nil then.
	NoQuarantine bool
	// NoFence means that owners do not exclude one another.
	NoFence bool
}

// Storage is where one sink writes, or several, in turn or at the same time.
type Storage struct {
	// Open opens a sink on the storage. A sink that is opened later sees what earlier ones wrote. The suite closes it.
	Open func(t *testing.T) Sink
	// Read lists a stream's events in log order, by another client than the sink's (see Structured and Binary). An event
	// that is stored twice is listed twice.
	Read func(t *testing.T, stream string) []Stored
	// Quarantined lists a stream's rejects in the order in which they were written (see Quarantine).
	Quarantined func(t *testing.T, stream string) []Quarantined
	// Forget removes the stream's checkpoint and leaves its events, while no sink is open. Nil if events are not kept.
	Forget func(t *testing.T, stream string)
	// Erase removes one event, as a person with the right to do so, while no sink is open. Nil if that is not possible.
	Erase func(t *testing.T, stream string, sequence uint64)
	// Intrude writes, while sinks are open, a record that is no event among a stream's events. Nil if events are not kept.
	Intrude func(t *testing.T, stream string, record []byte)
	// Vanish removes the whole log, events and checkpoints of all streams, while sinks are open, as by a purge, or by
	// deleting a topic or a folder (which is recreated if the broker does that). Nil only if nothing is kept.
	Vanish func(t *testing.T)
	// Copy copies the current storage, and returns a function that puts the copy back while sinks are open, as when
	// somebody restores a backup. Nil if the sink's technology cannot do that.
	Copy func(t *testing.T) (restore func(t *testing.T))
	// Folder contains everything that the sink or its broker keeps; empty if the sink cannot erase.
	Folder string
	// Stop stops the broker and returns a function that starts it again, with its data. Nil if there is none.
	Stop func(t *testing.T) (start func(t *testing.T))
}

// rule is one clause of the contract.
type rule struct {
	name string
	test func(s *scene)
	// except returns why a sink is excused, or "".
	except func(suite *Suite, storage *Storage) string
}

// Run tests a sink against the contract.
func Run(t *testing.T, suite Suite) {
	t.Helper()
	t.Logf("promise: %v", suite.Promise)
	for _, rules := range [][]rule{
		acquireRules, checkAcquireRules, commitRules, ownerRules, backRules, streamRules,
		followRules, readBackRules, eraseRules,
	} {
		for _, r := range rules {
			t.Run(r.name, func(t *testing.T) {
				storage := suite.New(t)
				if r.except != nil {
					if why := r.except(&suite, &storage); why != "" {
						t.Logf("not part of this sink's contract: %s", why)
						return
					}
				}
				r.test(&scene{T: t, suite: &suite, storage: storage})
			})
		}
	}
}

func unlessFencing(s *Suite, _ *Storage) string {
	if s.NoFence {
		return "owners do not exclude one another"
	}
	return ""
}

func unlessSharing(s *Suite, _ *Storage) string {
	if s.Exclusive {
		return "a second sink on the same storage is refused, which has its own case"
	}
	return unlessFencing(s, nil)
}

func unlessExclusive(s *Suite, _ *Storage) string {
	if !s.Exclusive {
		return "several sinks may share a storage"
	}
	return ""
}

func unlessKept(s *Suite, _ *Storage) string {
	if s.Unkept {
		return "no events are kept that could be read back"
	}
	return ""
}

func unlessOversized(s *Suite, _ *Storage) string {
	if s.Oversized == 0 {
		return "no event is too large"
	}
	return ""
}

func unlessOversizedItem(s *Suite, _ *Storage) string {
	if s.OversizedItem == 0 {
		return "no item is too large for the quarantine"
	}
	return ""
}

func unlessForget(_ *Suite, p *Storage) string {
	if p.Forget == nil {
		return "no events are kept without a checkpoint"
	}
	return ""
}

func unlessErase(_ *Suite, p *Storage) string {
	if p.Erase == nil {
		return "single events cannot be erased"
	}
	return ""
}

func unlessVanish(_ *Suite, p *Storage) string {
	if p.Vanish == nil {
		return "nothing is kept that could go back"
	}
	return ""
}

func unlessCopy(_ *Suite, p *Storage) string {
	if p.Copy == nil {
		return "no copy can be put back under its owner"
	}
	return ""
}

func unlessStop(_ *Suite, p *Storage) string {
	if p.Stop == nil {
		return "there is no broker that could be down"
	}
	return ""
}

func unlessFollow(s *Suite, _ *Storage) string {
	if s.NoFollow {
		return "it cannot be followed, which has its own case"
	}
	return ""
}

func unlessPast(s *Suite, p *Storage) string {
	if s.Unkept {
		return "no events are kept"
	}
	return unlessFollow(s, p)
}

func unlessUnfollowable(s *Suite, _ *Storage) string {
	if !s.NoFollow {
		return "it can be followed"
	}
	return ""
}
