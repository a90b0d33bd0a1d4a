package connector

import (
	"fmt"
	"sync"
)

// HighWaterMark is the highest sequence and epoch at which an instance has seen a log. A log never goes back, so one
// that comes back empty, shorter or with an older epoch was purged, recreated or restored. Taking it for a first start
// would lose events and use sequences twice. The zero value knows nothing. It is safe for concurrent use.
type HighWaterMark struct {
	mu       sync.Mutex
	known    bool
	sequence uint64
	epoch    uint64
}

// Raise raises the mark to a checkpoint that is known to be in the log: one that Acquire found or wrote, or that Commit
// recorded.
func (s *HighWaterMark) Raise(c Checkpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known, s.sequence, s.epoch = true, max(s.sequence, c.Sequence), max(s.epoch, c.Epoch)
}

// Admit returns a *Refusal if the log went back; exists is false if it has no checkpoint. An Acquire calls it before it
// writes anything.
func (s *HighWaterMark) Admit(stream string, found Checkpoint, exists bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.known || exists && found.Sequence >= s.sequence && found.Epoch >= s.epoch {
		return nil
	}
	cause := fmt.Sprintf("its log went back from %d to %d", s.sequence, found.Sequence)
	switch {
	case !exists:
		cause = fmt.Sprintf("its log went back from %d to 0: the checkpoint is gone", s.sequence)
	case found.Sequence >= s.sequence:
		cause = fmt.Sprintf("its log went back from epoch %d to %d at sequence %d", s.epoch, found.Epoch, found.Sequence)
	}
	return &Refusal{
		"stream " + stream, cause + "; it was purged, recreated or restored while this instance was running",
		"restore the log as it was, or continue after the delivered events with " + FirstStartAfter(stream, s.sequence) +
			", with the flag once for each such stream",
	}
}
