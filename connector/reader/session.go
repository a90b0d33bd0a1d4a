package reader

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Session is one owner's hold on a stream: it acquires the log when necessary, reads, and gives up the hold when an
// answer of the log is unclear. It has no clock and no goroutine, and is not safe for concurrent use.
type Session struct {
	pages   connector.Pages
	log     connector.Log
	reading Reading
	start   connector.Start
	reader  *Reader
}

// NewSession returns a session that does not own its stream yet.
func NewSession(pages connector.Pages, log connector.Log, reading Reading, start connector.Start) *Session {
	return &Session{pages: pages, log: log, reading: reading, start: start}
}

// Owns reports whether the session holds its stream.
func (s *Session) Owns() bool { return s.reader != nil }

// Reader is the reader in use, or nil if the session does not own its stream.
func (s *Session) Reader() *Reader { return s.reader }

// InQuarantine is how many messages still lie in the quarantine; the session has to own its stream.
func (s *Session) InQuarantine() uint64 { return inQuarantine(&s.reader.known) }

// Acquire takes the stream over unless the session owns it already. Its errors wrap those of Log.Acquire.
func (s *Session) Acquire(ctx context.Context) error {
	if s.reader != nil {
		return nil
	}
	state, err := s.log.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("acquire stream %s: %w", s.reading.Stream.Name, err)
	}
	s.reader = NewReader(s.pages, s.log, s.reading, state)
	return nil
}

// Poll acquires the stream if needed and makes one step of reading. Its errors are those of Acquire and Reader.Poll.
// After an error of the log the session does not own the stream.
func (s *Session) Poll(ctx context.Context) (Outcome, error) {
	return s.step(ctx, func(r *Reader) (Outcome, error) { return r.Poll(ctx, s.start) })
}

// Sweep acquires the stream if needed and makes one step of looking for late messages. Its errors are those of Acquire
// and Reader.Sweep.
func (s *Session) Sweep(ctx context.Context, now time.Time) (Outcome, error) {
	return s.step(ctx, func(r *Reader) (Outcome, error) { return r.Sweep(ctx, now) })
}

func (s *Session) step(ctx context.Context, step func(*Reader) (Outcome, error)) (Outcome, error) {
	if err := s.Acquire(ctx); err != nil {
		return Outcome{}, err
	}
	out, err := step(s.reader)
	if err == nil {
		return out, nil
	}
	if !LeftUnchanged(err) {
		// Another owner has taken over, or it is not known what the log holds now: read it back.
		s.GiveUp()
	}
	return out, err
}

// GiveUp drops the reader, so that the next step acquires the stream again.
func (s *Session) GiveUp() {
	s.reader.Close()
	s.reader = nil
}

// Close waits until the session no longer reads ahead. The context of the last step should have ended.
func (s *Session) Close() {
	if s.reader != nil {
		s.reader.Close()
	}
}

// DropAhead drops pages that were read for the next step, to free their memory.
func (s *Session) DropAhead() {
	if s.reader != nil {
		s.reader.prefetch.abandon()
		s.reader.sections.dropSection()
	}
}

// LeftUnchanged reports whether a step that ended with this error changed neither the log nor the reader, so that the next
// step may follow without acquiring the log again.
func LeftUnchanged(err error) bool {
	var fault *connector.PageError
	var open *UnresolvedError
	if errors.As(err, &open) {
		return false
	}
	var suspicion *Suspicion
	return errors.As(err, &fault) || errors.As(err, &suspicion) || errors.Is(err, ErrStalled) ||
		errors.Is(err, ErrMoved) ||
		errors.Is(err, ErrEmpty) || errors.Is(err, connector.ErrNotNow) ||
		errors.Is(err, ErrPollDue) || errors.Is(err, ErrMemoryLimit)
}
