package reader

import (
	"context"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Missing is a message that is in the list and not in the log, as it was received.
type Missing struct {
	Message  connector.Message
	Received time.Time
	// Refused, if not nil, is called with the reason why the log cannot store the message. The message is in the
	// quarantine already, and is not put there again.
	Refused func(reason string)
}

// Restore delivers missing messages as late ones, in their order. The caller must have read the whole log after this
// Session acquired it: only that shows what is missing, as the window and the checkpoint still name events that
// somebody removed from the sink. Messages that were erased on request are left out. Errors are those of Log.Commit;
// after them the session does not own the stream.
func (s *Session) Restore(ctx context.Context, messages []Missing) (Outcome, error) {
	return s.step(ctx, func(r *Reader) (Outcome, error) {
		var b delivery
		for i := range messages {
			m := &messages[i]
			if r.known.erased.has(m.Message.Key) {
				continue
			}
			b.addLate(&found{&m.Message, m.Received}, lownessOf(&r.known.recorded, nil))
			if m.Refused != nil && m.Message.Fault == "" {
				b.events[len(b.events)-1].refused = m.Refused
			}
		}
		return r.writer.commit(ctx, b, 0)
	})
}

// CountQuarantine records how many messages still lie in the quarantine, as somebody has read all of it since this
// Session acquired the stream.
func (s *Session) CountQuarantine(ctx context.Context, left uint64) error {
	_, err := s.step(ctx, func(r *Reader) (Outcome, error) {
		if inQuarantine(&r.known) == left {
			return Outcome{}, nil
		}
		return r.writer.commit(ctx, delivery{change: func(next *connector.Checkpoint, _ []connector.Event, _ bool) {
			other := left + r.known.erasedRejects + next.Counters.Elsewhere
			next.Counters.Settled = next.Counters.Rejected - min(next.Counters.Rejected, other)
		}}, 0)
	})
	return err
}
