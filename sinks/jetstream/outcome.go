package jetstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/nats-io/nuid"

	"github.com/twochat-connector/twochat-connector/connector"
)

// batchID returns a new id for a batch.
func batchID() string { return nuid.Next() }

// oddities is how often in a row a server may refuse commits for an unknown reason before a person has to act.
const oddities = 3

// shortWindow is the longest duplicate window that is waited out.
const shortWindow = 10 * time.Minute

// failedCommit is a batch that was not acknowledged.
type failedCommit struct {
	log      *Log
	link     *link
	messages *batchMessages
}

// outcome turns the failure of a batch into one of the outcomes of connector.Log. After an unclear outcome the stream
// has to be acquired again.
//
// For any refusal, it first looks up the owner of the log: an instance that was overtaken is fenced. The reason of the
// refusal does not tell, for example because the server checks for message ids that the stream remembers before it
// checks the guard.
func (f *failedCommit) outcome(ctx context.Context, err error) error {
	l, k := f.log, f.link
	var notSent *notSentError
	if errors.As(err, &notSent) {
		if ctx.Err() != nil {
			return fmt.Errorf("commit: %w", err)
		}
		return fmt.Errorf("commit: %w: %w", connector.ErrNotNow, err)
	}
	var api *apiError
	var denied *deniedError
	refused := errors.As(err, &api)
	if !refused && !errors.As(err, &denied) && !errors.Is(err, errNoResponders) {
		return l.unclear(f.silence(ctx, err))
	}
	if owner := l.owner(ctx, k); errors.Is(owner, connector.ErrFenced) {
		return fmt.Errorf("commit: %w", owner)
	} else if owner != nil && !(refused && notNow(api)) {
		return l.unclear(fmt.Errorf("%w, and then: %w", err, owner))
	}
	switch {
	case denied != nil && denied.subscribe:
		l.acquired, l.unsettled = false, true
		return l.sink.hints.denial(denied)
	case denied != nil: // what is not published cannot be part of a batch
		l.acquired = false
		return l.sink.hints.denial(denied)
	case !refused: // nobody is subscribed, so nothing was written
		return f.changed(ctx, err)
	}
	return f.refused(ctx, api)
}

// refused turns a refusal into an outcome, if this instance owns the log.
func (f *failedCommit) refused(ctx context.Context, api *apiError) error {
	l, k := f.log, f.link
	switch api.Code {
	case codeWrongSequence, codeWrongSequencePlain:
		return l.unclear(fmt.Errorf("%w, although the checkpoint there is this instance's own", api))
	case codeDuplicateInBatch:
		return f.duplicate(ctx, api)
	case codeBatchIncomplete:
		l.careful = true
		if refusal := l.refusalNow(ctx, k); refusal != nil {
			return refusal
		}
		return l.unclear(api)
	case codeTooLarge:
		if refusal := l.refusalNow(ctx, k); refusal != nil {
			return refusal
		}
		known, err := l.sink.known(ctx, k, false)
		if err != nil {
			return fmt.Errorf("commit: %w: %w, and its limit cannot be read: %w", connector.ErrNotNow, api, err)
		}
		if err := f.messages.tooLarge(limit(k, known)); err != nil {
			return err
		}
		return f.odd(fmt.Errorf("%w, although no message is larger than the limit of %d bytes", api, limit(k, known)))
	case codeTTLDisabled: // allow_msg_ttl was turned off; the next commit takes that into account
		return f.changed(ctx, api)
	}
	if refusal := l.refusal(api); refusal != nil {
		l.acquired = false
		return refusal
	}
	if notNow(api) {
		return f.changed(ctx, api)
	}
	if refusal := l.refusalNow(ctx, k); refusal != nil {
		return refusal
	}
	return f.odd(api)
}

// unclear marks the log as one that has to be acquired again.
func (l *Log) unclear(cause error) error {
	l.acquired, l.unsettled = false, true
	var refusal *connector.Refusal
	if errors.As(cause, &refusal) {
		return refusal
	}
	return fmt.Errorf("commit: unclear: %w", cause)
}

// odd returns an unclear outcome, until that has happened so often that another attempt is useless.
func (f *failedCommit) odd(cause error) error {
	l := f.log
	if l.odds++; l.odds < oddities {
		return l.unclear(cause)
	}
	l.acquired = false
	return &connector.Refusal{
		Thing: "JetStream stream " + l.sink.config.Stream, Cause: fmt.Sprintf("the server refuses every commit: %s", cause),
		Hint: "compare its settings with what the connector needs: `twochat-connector check`, " +
			l.sink.hints.command("stream info "+l.sink.config.Stream),
	}
}

// silence looks for a reason in the stream's settings if no answer came: the stream may have been set not to
// acknowledge.
func (f *failedCommit) silence(ctx context.Context, cause error) error {
	l, k := f.log, f.link
	if errors.Is(cause, errNoAnswer) && k.conn.IsConnected() {
		if known, err := l.sink.known(ctx, k, true); err == nil && known.refusal != nil {
			return known.refusal
		}
	}
	return cause
}

// refusalNow reads the stream's settings again, and returns why they do not allow writing; else nil.
func (l *Log) refusalNow(ctx context.Context, k *link) error {
	known, err := l.sink.known(ctx, k, true)
	var api *apiError
	switch {
	case err == nil && known.refusal != nil:
		l.acquired = false
		return known.refusal
	case errors.As(err, &api):
		if refusal := l.refusal(api); refusal != nil {
			l.acquired = false
			return refusal
		}
	}
	return nil
}

// changed is the outcome if nothing was written: a refusal if the stream's settings explain it, else ErrNotNow.
func (f *failedCommit) changed(ctx context.Context, cause error) error {
	l, k := f.log, f.link
	if refusal := l.refusalNow(ctx, k); refusal != nil {
		return refusal
	}
	var api *apiError
	if errors.As(cause, &api) && full(api) {
		l.sink.mu.Lock()
		hint := l.sink.settings.room
		l.sink.mu.Unlock()
		if hint != "" {
			return fmt.Errorf("commit: %w", &connector.Unavailable{
				Thing: "JetStream stream " + l.sink.config.Stream, Cause: "it is full: " + cause.Error(), Hint: hint,
			})
		}
	}
	return fmt.Errorf("commit: %w: %w", connector.ErrNotNow, cause)
}

// duplicate is the outcome if the stream remembers the id of one of the messages. The log is read again once. If the
// message is not in it, it was removed, and the stream accepts it again once it has forgotten the id.
func (f *failedCommit) duplicate(ctx context.Context, api *apiError) error {
	l, k := f.log, f.link
	if l.duplicates++; l.duplicates == 1 {
		l.remembered = time.Now()
		return l.unclear(api)
	}
	known, err := l.sink.known(ctx, k, false)
	if err != nil {
		return fmt.Errorf("commit: %w: %w", connector.ErrNotNow, api)
	}
	thing := "JetStream stream " + l.sink.config.Stream
	cause := fmt.Sprintf("%s, at %s at the latest (JetStream error %d)", remembers(known.duplicateWindow),
		l.remembered.Add(known.duplicateWindow).UTC().Format("15:04:05 UTC"), api.Code)
	if known.duplicateWindow <= shortWindow {
		return fmt.Errorf("commit: %w", &connector.Unavailable{
			Thing: thing, Cause: cause,
			Hint: "wait until then: the connector goes on by itself",
		})
	}
	l.acquired = false
	return &connector.Refusal{Thing: thing, Cause: cause, Hint: "wait until then, or let it forget sooner: " +
		l.sink.hints.edit("--dupe-window 2m")}
}

// remembers explains why a stream does not accept messages that were removed from it, and for how long.
func remembers(window time.Duration) string {
	return fmt.Sprintf("it remembers the ids of messages that were removed from it, and accepts them again once its "+
		"duplicate window of %s has passed", window)
}

// owner checks that this instance owns the log. It returns ErrFenced if another one has taken it over, which then lasts
// until the next Acquire. It returns another error if the owner cannot be found out or the log went back.
func (l *Log) owner(ctx context.Context, k *link) error {
	found, _, ok, err := l.read(ctx, k)
	switch {
	case err != nil:
		return l.readError("the checkpoint cannot be read", err)
	case !ok:
		return errors.New("the checkpoint is gone")
	case found.Epoch > l.epoch || found.Epoch == l.epoch && found.Owner != l.claim.Instance:
		l.acquired, l.fenced = false, true
		return connector.ErrFenced
	case found.Epoch < l.epoch:
		return fmt.Errorf("the checkpoint is an older one, of epoch %d after %d", found.Epoch, l.epoch)
	}
	return nil
}

// notNow reports whether a refusal means that nothing was written and the same request may succeed later.
func notNow(api *apiError) bool {
	switch api.Code {
	case codeNoResources, codeTooManyBatches, codeClusterUnavailable, codeClusterNotLeader:
		return true
	}
	return full(api) || api.Status == http.StatusTooManyRequests || api.Status == http.StatusServiceUnavailable
}

// full reports whether a refusal means that there is no room.
func full(api *apiError) bool {
	switch api.Code {
	case codeStoreFailed, codeStorageFull, codeMemoryFull, codeAccountFull:
		return true
	}
	return false
}

// refusal is the refusal of the hints. If the stream is gone and this process knows where the log ended, it adds that,
// and how to continue from there.
func (l *Log) refusal(api *apiError) *connector.Refusal {
	refusal := l.sink.hints.refusal(api)
	var back *connector.Refusal
	if api.Code != codeStreamMissing ||
		!errors.As(l.standing.Admit(l.claim.Stream.Name, connector.Checkpoint{}, false), &back) {
		return refusal
	}
	back.Cause = "the JetStream stream " + l.sink.config.Stream + " was deleted while the connector ran: " + back.Cause
	if !l.sink.config.Create {
		back.Hint += "; create the stream itself with `sink.jetstream.create: true`, or: " + l.sink.hints.addCommand()
	}
	return back
}

// readError turns the failure of a request that changes nothing into an outcome: fenced, not now, a refusal, or itself.
func (l *Log) readError(operation string, err error) error {
	var refusal *connector.Refusal
	var api *apiError
	var denied *deniedError
	switch {
	case errors.As(err, &refusal):
		return err
	case errors.As(err, &denied):
		return l.sink.hints.denial(denied)
	case errors.As(err, &api):
		// A server that is just starting answers 503 too, so this may be a server without JetStream.
		if notNow(api) {
			return fmt.Errorf("%s: %w: %w", operation, connector.ErrNotNow, api)
		}
		if refusal := l.refusal(api); refusal != nil {
			return refusal
		}
	case errors.Is(err, errNoAnswer), errors.Is(err, errNoResponders), errors.Is(err, errLost),
		errors.Is(err, errOneReply):
		return fmt.Errorf("%s: %w: %w", operation, connector.ErrNotNow, err)
	}
	return fmt.Errorf("%s: %w", operation, err)
}

// limit is the largest accepted message, headers included.
func limit(k *link, known settings) int64 {
	largest := k.conn.MaxPayload()
	if known.maxMessageSize > 0 {
		largest = min(largest, known.maxMessageSize)
	}
	return largest
}
