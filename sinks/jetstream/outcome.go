package jetstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"github.com/twochat-connector/twochat-connector/connector"
)

// batchID names a batch; ids are never used twice.
func (l *Log) batchID() string { return nuid.Next() }

// outcome turns the end of a batch that was not acknowledged into one of the outcomes of connector.Log. After whatever is
// unclear the stream has to be acquired anew.
func (l *Log) outcome(ctx context.Context, k *link, err error, messages []*natsgo.Msg, events []connector.Event, rejects []connector.Reject) error {
	var notSent *notSentError
	if errors.As(err, &notSent) {
		if ctx.Err() != nil {
			return fmt.Errorf("commit: %w", err)
		}
		return fmt.Errorf("commit: %w: %w", connector.ErrNotNow, err)
	}
	var api *apiError
	if !errors.As(err, &api) {
		l.acquired = false
		if refusal := l.forbidden(k, err); refusal != nil {
			return refusal
		}
		return fmt.Errorf("commit: unclear: %w", err)
	}
	switch api.Code {
	case codeWrongSequence, codeWrongSequencePlain:
		return l.overtaken(ctx, k, api)
	case codeDuplicateInBatch:
		l.acquired = false
		if l.duplicates++; l.duplicates > 1 {
			return fmt.Errorf("commit: unclear: %w, again after a fresh look at the log: the stream remembers the id of a message that is not in the log "+
				"(removed by hand?) and forgets it after its duplicate window of %s", api, l.sink.window())
		}
		return fmt.Errorf("commit: unclear: %w", api)
	case codeBatchIncomplete:
		l.acquired, l.careful = false, true
		return fmt.Errorf("commit: unclear: %w", api)
	case codeTooLarge:
		known, err := l.sink.known(ctx, k, true)
		if err != nil {
			return fmt.Errorf("commit: %w: %w, and its limit cannot be read: %w", connector.ErrNotNow, api, err)
		}
		if err := tooLarge(messages, events, rejects, limit(k, known)); err != nil {
			return err
		}
		l.acquired = false
		return fmt.Errorf("commit: unclear: %w, though no message is larger than the limit of %d bytes", api, limit(k, known))
	case codeTTLDisabled:
		if _, err := l.sink.known(ctx, k, true); err != nil { // allow_msg_ttl was taken away; the next commit knows
			return fmt.Errorf("commit: %w: %w: %w", connector.ErrNotNow, api, err)
		}
		return fmt.Errorf("commit: %w: %w", connector.ErrNotNow, api)
	}
	if notNow(api) {
		return fmt.Errorf("commit: %w: %w", connector.ErrNotNow, api)
	}
	l.acquired = false
	if refusal := l.sink.refusal(api); refusal != nil {
		return refusal
	}
	return fmt.Errorf("commit: unclear: %w", api)
}

// overtaken tells another owner from a late batch of our own, after the server found another checkpoint than expected.
func (l *Log) overtaken(ctx context.Context, k *link, api *apiError) error {
	l.acquired = false
	found, _, ok, err := l.read(ctx, k)
	switch {
	case err != nil:
		return fmt.Errorf("commit: unclear: %w, and the checkpoint cannot be read: %w", api, err)
	case !ok:
		return fmt.Errorf("commit: unclear: %w, and there is no checkpoint any more", api)
	case found.Owner != l.claim.Instance || found.Epoch != l.epoch:
		l.fenced = true
		return fmt.Errorf("commit: %w", connector.ErrFenced)
	}
	return fmt.Errorf("commit: unclear: %w, and the checkpoint there is this instance's own", api)
}

// notNow says whether a refusal means that nothing was written and that the same may be taken later.
func notNow(api *apiError) bool {
	switch api.Code {
	case codeStoreFailed, codeNoResources, codeStorageFull, codeMemoryFull, codeAccountFull, codeTooManyBatches, codeClusterUnavailable:
		return true
	}
	return api.Status == http.StatusTooManyRequests || api.Status == http.StatusServiceUnavailable
}

// refusal is what only a person can mend, or nil.
func (s *Sink) refusal(api *apiError) error {
	stream := s.config.Stream
	thing := "JetStream stream " + stream
	switch api.Code {
	case codeStreamMissing:
		return &connector.Refusal{Thing: thing, Cause: "it does not exist", Mend: "make it with `create: true`, or: " + s.addCommand()}
	case codeBatchesDisabled:
		return &connector.Refusal{Thing: thing, Cause: "it does not take atomic batches", Mend: "nats stream edit " + stream + " --allow-batch"}
	case codeSealed:
		return &connector.Refusal{Thing: thing, Cause: "it is sealed and takes nothing any more", Mend: "name another stream"}
	case codeNotEnabled, codeNotEnabledInAccount:
		return &connector.Refusal{Thing: thing, Cause: "JetStream is not enabled for this account", Mend: "enable JetStream in the server's configuration, or use the sink `nats` (best effort)"}
	}
	return nil
}

// readError turns the failure of a request that changes nothing into an outcome: not now, a refusal, or itself.
func (l *Log) readError(operation string, err error) error {
	var refusal *connector.Refusal
	var api *apiError
	switch {
	case errors.As(err, &refusal):
		return err
	case errors.As(err, &api):
		// A server that is just starting says 503 as well; only a person can tell it from one without JetStream.
		if notNow(api) || api.Code == codeClusterNotLeader {
			return fmt.Errorf("%s: %w: %w", operation, connector.ErrNotNow, api)
		}
		if refusal := l.sink.refusal(api); refusal != nil {
			return refusal
		}
	case errors.Is(err, errNoAnswer), errors.Is(err, errNoResponders), errors.Is(err, errLost):
		return fmt.Errorf("%s: %w: %w", operation, connector.ErrNotNow, err)
	}
	return fmt.Errorf("%s: %w", operation, err)
}

// forbidden looks for the reason why no answer came: the server reports a missing right to the connection, not to the message, and
// only its text says which. The text is not repeated, it may hold a chat.
func (l *Log) forbidden(k *link, err error) error {
	last := k.conn.LastError()
	if !errors.Is(err, errNoAnswer) || !errors.Is(last, natsgo.ErrPermissionViolation) {
		return nil
	}
	for _, subject := range []string{strings.TrimSuffix(l.events, ">"), l.checkpoint, l.quarantine, k.inbox} {
		if strings.Contains(last.Error(), `"`+subject) {
			return &connector.Refusal{
				Thing: "NATS user", Cause: "it has no right to publish the events or to receive the answers",
				Mend: "allow it to publish to " + strings.Join(subjects(l.sink.config.Subject), ", ") + " and $JS.API.>, and to subscribe to _INBOX.>",
			}
		}
	}
	return nil
}

// limit is the largest message that is taken, headers included.
func limit(k *link, known settings) int64 {
	largest := k.conn.MaxPayload()
	if known.maxMessageSize > 0 {
		largest = min(largest, known.maxMessageSize)
	}
	return largest
}

// batchHeaders is more than what publish adds to a message's headers.
const batchHeaders = 128

// tooLarge finds the first message that the server could not take, tried alone.
func tooLarge(messages []*natsgo.Msg, events []connector.Event, rejects []connector.Reject, limit int64) error {
	for i, m := range messages {
		if size := int64(m.Size() - len(m.Subject) + batchHeaders); size <= limit {
			continue
		}
		reason := fmt.Sprintf("too large: a message of %d bytes, and the server takes %d", len(m.Data), limit)
		switch {
		case i < len(events):
			return &connector.Rejected{Key: events[i].Key, Reason: reason}
		case i < len(events)+len(rejects):
			return &connector.Rejected{Key: rejects[i-len(events)].Key, Reason: reason}
		}
		return &connector.Refusal{
			Thing: "NATS server", Cause: "it takes no message as large as the checkpoint: " + reason,
			Mend: "raise max_payload of the server and max_msg_size of the stream to 1 MB at least",
		}
	}
	return nil
}
