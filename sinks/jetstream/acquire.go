package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// takeOvers is how often one Acquire tries to take over, because others may write the checkpoint at the same time, and
// answers may be lost.
const takeOvers = 5

// purgeEpochs is the number of takeovers after which older checkpoints are removed, for streams that never have a
// commit.
const purgeEpochs = 16

// staleFor is how long a replicated log that looks older than before is read again before this is believed: a server
// that is cut off from the others keeps answering with old data.
const staleFor = 15 * time.Second

// Acquire takes over the stream by writing the next checkpoint over the present one. Then it reads the window back.
func (l *Log) Acquire(ctx context.Context) (connector.State, error) {
	l.acquired, l.fenced = false, false
	checkpoint, k, err := l.takeOver(ctx)
	if err != nil {
		return connector.State{}, err
	}
	// From here on only this instance can add to the log.
	l.unsettled = false
	l.epoch = checkpoint.Epoch
	l.standing.Raise(checkpoint)
	l.marks = decodeMarks(checkpoint.Sink)
	erased, err := readErased(ctx, l.sink, k, l.claim.Stream.Name)
	if err != nil {
		return connector.State{}, l.readError("acquire: read what was erased", err)
	}
	state, err := (&windowReader{log: l, link: k, erased: erased}).read(ctx, checkpoint)
	if err != nil {
		if errors.Is(err, errOneReply) {
			if l.oneReplies++; l.oneReplies > 1 {
				return connector.State{}, l.sink.hints.oneReply()
			}
		}
		return connector.State{}, l.readError("acquire: read the window back", err)
	}
	state.Erased = erased
	l.standing.Raise(state.Checkpoint)
	l.acquired, l.oneReplies = true, 0
	if checkpoint.Epoch%purgeEpochs == 0 {
		l.purger.purge(k)
	}
	return state, nil
}

// takeOver commits the takeover checkpoint, in at most takeOvers attempts.
func (l *Log) takeOver(ctx context.Context) (connector.Checkpoint, *link, error) {
	var written connector.Checkpoint // by the previous attempt, if it is unclear whether that succeeded
	var cause error
	for range takeOvers {
		k, err := l.sink.connect(ctx)
		if err != nil {
			return connector.Checkpoint{}, nil, fmt.Errorf("acquire: %w", err)
		}
		known, err := l.sink.known(ctx, k, l.unsettled)
		if err != nil {
			return connector.Checkpoint{}, nil, l.readError("acquire", err)
		}
		found, sequence, ok, err := l.read(ctx, k)
		if err != nil {
			return connector.Checkpoint{}, nil, l.readError("acquire: read checkpoint", err)
		}
		if ok && written.Epoch != 0 && found.Owner == written.Owner && found.Epoch == written.Epoch {
			l.last = sequence // the attempt had succeeded
			return found, k, nil
		}
		if found, err = l.admit(ctx, k, known, found, ok); err != nil {
			return connector.Checkpoint{}, nil, l.readError("acquire", err)
		}
		l.last = sequence
		next := l.claim.TakeOver(found, time.Now())
		m, err := l.checkpointMessage(next, known.ttl)
		if err != nil {
			return connector.Checkpoint{}, nil, fmt.Errorf("acquire: %w", err)
		}
		if err := single(m).tooLarge(limit(k, known)); err != nil {
			return connector.Checkpoint{}, nil, err
		}
		sequence, err = k.publish(ctx, batchID(), single(m), false)
		if err == nil {
			l.last = sequence
			return next, k, nil
		}
		written, cause = next, err
		if err := l.tryAgain(ctx, k, err); err != nil {
			return connector.Checkpoint{}, nil, err
		}
	}
	return connector.Checkpoint{}, nil, fmt.Errorf("acquire: outcome unclear after %d attempts: %w", takeOvers, cause)
}

// admit returns the checkpoint to take over, or why the log may not be taken over. If another instance has taken it
// over after an unclear commit, this instance leaves it to that one, once.
func (l *Log) admit(
	ctx context.Context, k *link, known settings, found connector.Checkpoint, exists bool,
) (connector.Checkpoint, error) {
	if l.unsettled && exists && found.Epoch > l.epoch && found.Owner != l.claim.Instance {
		l.unsettled, l.fenced = false, true
		return found, connector.ErrFenced
	}
	if err := l.standing.Admit(l.claim.Stream.Name, found, exists); err != nil {
		if l.back.IsZero() {
			l.back = time.Now()
		}
		if known.replicas > 1 && time.Since(l.back) < staleFor {
			// Only the text of the refusal is passed on: it may still prove wrong, so errors.As must not find it.
			return found, fmt.Errorf("%w: reading again, as a server that is cut off would answer the same: %v", connector.ErrNotNow,
				err.Error())
		}
		return found, l.wentBack(ctx, k, exists, err)
	}
	l.back = time.Time{}
	if known.refusal != nil {
		return found, known.refusal
	}
	if exists {
		return found, l.claim.Admit(found)
	}
	return l.first(ctx, k)
}

// tryAgain returns nil if a failed takeover is worth another attempt at once, after reading the checkpoint again.
func (l *Log) tryAgain(ctx context.Context, k *link, cause error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("acquire: %w", err)
	}
	var notSent *notSentError
	var api *apiError
	var denied *deniedError
	switch {
	case errors.As(cause, &notSent):
		return fmt.Errorf("acquire: %w: %w", connector.ErrNotNow, cause)
	case errors.As(cause, &denied):
		return l.sink.hints.denial(denied)
	case errors.As(cause, &api) && (api.Code == codeWrongSequence || api.Code == codeWrongSequencePlain):
		return nil
	case errors.As(cause, &api) && api.Code == codeTTLDisabled:
		_, err := l.sink.known(ctx, k, true)
		return err
	case errors.As(cause, &api):
		if refusal := l.refusalNow(ctx, k); refusal != nil {
			return refusal
		}
		return l.readError("acquire", api)
	case errors.Is(cause, errNoResponders), errors.Is(cause, errNoAnswer):
		if refusal := l.refusalNow(ctx, k); refusal != nil {
			return refusal
		}
		return fmt.Errorf("acquire: %w: %w", connector.ErrNotNow, cause)
	}
	return nil
}

// first is the checkpoint of a stream that has none, which must be a first start.
func (l *Log) first(ctx context.Context, k *link) (connector.Checkpoint, error) {
	newest, found, err := k.get(ctx, l.sink.config.Stream, query{Last: l.events})
	if err != nil {
		return connector.Checkpoint{}, err
	}
	if found && !l.claim.FirstStart {
		return connector.Checkpoint{}, l.claim.RefuseOrphans()
	}
	other, none, err := l.sink.aliases.find(ctx, l.sink, k, l.claim.Stream, l.checkpoint)
	if err != nil {
		return connector.Checkpoint{}, err
	}
	if other != "" && !l.claim.RenamedFrom(other) {
		return connector.Checkpoint{}, l.claim.RefuseAlias(other)
	}
	if none && !l.claim.FirstStart {
		if err := l.emptied(ctx, k); err != nil {
			return connector.Checkpoint{}, err
		}
	}
	if !found {
		return connector.Checkpoint{}, nil
	}
	header, err := newest.header()
	if err != nil {
		return connector.Checkpoint{}, err
	}
	e, ok := readHeader(header, l.claim.Stream.Source())
	if !ok {
		return connector.Checkpoint{}, &connector.Refusal{
			Thing: "stream " + l.claim.Stream.Name, Cause: "the newest message on its subjects is not an event of the connector",
			Hint: "remove it, or give the stream another name with `name:`",
		}
	}
	return connector.Checkpoint{Sequence: e.Sequence, Certified: e.Sequence}, nil
}

// wentBack is the refusal of a log that went back. If the whole stream was purged, it has the hint of check and of the
// next start, which do not know where the log ended.
func (l *Log) wentBack(ctx context.Context, k *link, exists bool, refusal error) error {
	var back, purged *connector.Refusal
	if !exists && errors.As(refusal, &back) && errors.As(l.emptied(ctx, k), &purged) {
		return &connector.Refusal{Thing: back.Thing, Cause: back.Cause, Hint: purged.Hint}
	}
	return refusal
}

// emptied refuses a stream that has held messages of the connector, but has no checkpoint of any stream left: it was
// purged completely. If other programs write to the stream too, that is certain only if it is empty.
func (l *Log) emptied(ctx context.Context, k *link) error {
	info, err := k.streamInfo(ctx, l.sink.config.Stream)
	if err != nil {
		return err
	}
	own, announcements := len(info.Config.Subjects) > 0, memberSubjects(l.sink.config.Subject)
	all := append(subjects(l.sink.config.Subject), announcements)
	for _, subject := range info.Config.Subjects {
		own = own && covered(all, subject)
	}
	if info.State.LastSeq == 0 {
		return nil
	}
	if !own {
		// What members announce is there again seconds after a purge.
		members, _, err := k.count(ctx, l.sink.config.Stream, announcements)
		if err != nil || info.State.Msgs > members {
			return err
		}
	}
	// Another stream's first checkpoint may have been written just now.
	_, found, err := k.get(ctx, l.sink.config.Stream, query{Last: checkpointSubjects(l.sink.config.Subject)})
	if err != nil || found {
		return err
	}
	return &connector.Refusal{
		Thing: "JetStream stream " + l.sink.config.Stream,
		Cause: fmt.Sprintf("it was purged: it has held %d messages, and has no checkpoint any more", info.State.LastSeq),
		Hint: fmt.Sprintf("restore it from a backup, or start all streams again after the highest sequence that they can "+
			"have had, with %s; %s", connector.FirstStartAfter(connector.AllStreams, info.State.LastSeq),
			remembers(info.Config.Duplicates)),
	}
}
