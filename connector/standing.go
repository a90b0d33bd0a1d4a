package connector

import (
	"fmt"
	"sync"
)

// Standing is what an instance knows of a log that it has held: where it stood last. A log never goes back, so one that
// comes back empty, shorter or with an older epoch was purged, recreated or restored, and taking it for a first start
// would lose what lay between and use sequences twice. The zero value knows nothing. It may be used from several
// goroutines.
type Standing struct {
	mu       sync.Mutex
	known    bool
	sequence uint64
	epoch    uint64
}

// Keep notes a checkpoint that is known to be in the log: one that Acquire found or wrote, or that Commit recorded.
func (s *Standing) Keep(c Checkpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known, s.sequence, s.epoch = true, max(s.sequence, c.Sequence), max(s.epoch, c.Epoch)
}

// Admit reports whether the log may be taken over as it is found; exists is false where it holds no checkpoint. The
// error is a *Refusal. An Acquire asks before it writes anything.
func (s *Standing) Admit(stream string, found Checkpoint, exists bool) error {
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
		"stream " + stream, cause + "; it was purged, made anew or restored while this instance ran",
		fmt.Sprintf("bring the log back as it was, or go on after what was delivered with `twochat-connector run --first-start=%d`", s.sequence),
	}
}
