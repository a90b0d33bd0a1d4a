package reader

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Session is one owner's hold on a stream: it acquires the log when it has to, reads, and gives the hold up when the
// log's answer leaves anything unclear. It has no clock and no goroutine; one goroutine uses it, step by step.
type Session struct {
	pages   connector.Pages
	log     connector.Log
	reading Reading
	start   connector.Start
	reader  *Reader
}

// NewSession makes a session that owns nothing yet.
func NewSession(pages connector.Pages, log connector.Log, reading Reading, start connector.Start) *Session {
	return &Session{pages: pages, log: log, reading: reading, start: start}
}

// Owns says whether the session holds its stream.
func (s *Session) Owns() bool { return s.reader != nil }

// Reader is the reader in use; nil where the session owns nothing.
func (s *Session) Reader() *Reader { return s.reader }

// Acquire takes the stream over, if the session does not hold it. Errors are Log.Acquire's.
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

// Poll acquires where that is needed and makes one step of reading. After an error of the log the session owns nothing.
func (s *Session) Poll(ctx context.Context) (Outcome, error) {
	return s.step(ctx, func(r *Reader) (Outcome, error) { return r.Poll(ctx, s.start) })
}

// Sweep acquires where that is needed and looks for late arrivals.
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
	if !Harmless(err) {
		// Fenced, or it cannot be told what the log holds now: forget everything and ask it.
		s.GiveUp()
	}
	return out, err
}

// GiveUp forgets the hold, so that the stream is acquired anew.
func (s *Session) GiveUp() {
	s.reader.Close()
	s.reader = nil
}

// Close waits for what the session does beside its steps. The context of the last step should have ended.
func (s *Session) Close() {
	if s.reader != nil {
		s.reader.Close()
	}
}

// DropAhead forgets what was read for the next step.
func (s *Session) DropAhead() {
	if s.reader != nil {
		s.reader.prefetch.abandon()
		s.reader.pieces.dropPiece()
	}
}

// Harmless says whether an error left both the log and the reader as they were.
func Harmless(err error) bool {
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
