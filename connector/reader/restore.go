package reader

import (
	"context"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Missing is a message that the list shows and the log lacks, as it was received.
type Missing struct {
	Message  connector.Message
	Received time.Time
}

// Restore delivers messages that are missing, in their order, as late ones. The caller has read the whole log since
// this Session took it over, and knows that it lacks them: the window and the checkpoint still name events that somebody
// has removed from the sink. Errors are those of Log.Commit; after them the session owns nothing.
func (s *Session) Restore(ctx context.Context, messages []Missing) (Outcome, error) {
	return s.step(ctx, func(r *Reader) (Outcome, error) {
		var b delivery
		for i := range messages {
			b.add(&found{&messages[i].Message, messages[i].Received}, true)
		}
		return r.writer.commit(ctx, b, 0)
	})
}
