package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/twochat-connector/twochat-connector/connector"
)

// takeOvers is how often a take-over is tried within one Acquire, where others write the checkpoint at the same time or answers
// are lost.
const takeOvers = 5

// purgeEpochs is at every how many take-overs the older checkpoints are removed, for streams that are quiet for ever.
const purgeEpochs = 16

// Acquire takes the stream over by writing the next checkpoint over the one that is there; then it reads the window back.
func (l *Log) Acquire(ctx context.Context) (connector.State, error) {
	l.acquired, l.fenced = false, false
	checkpoint, k, err := l.takeOver(ctx)
	if err != nil {
		return connector.State{}, err
	}
	// From here on nobody but this instance can add to the log.
	l.epoch = checkpoint.Epoch
	l.marks = decodeMarks(checkpoint.Sink)
	state, err := l.window(ctx, k, checkpoint)
	if err != nil {
		return connector.State{}, l.readError("acquire: read the window back", err)
	}
	l.acquired = true
	if checkpoint.Epoch%purgeEpochs == 0 {
		l.purge(k)
	}
	return state, nil
}

// takeOver commits the take-over checkpoint, whatever it takes within takeOvers attempts.
func (l *Log) takeOver(ctx context.Context) (connector.Checkpoint, *link, error) {
	var written connector.Checkpoint // of the attempt before, where it is unclear whether it landed
	var cause error
	for range takeOvers {
		k, err := l.sink.connect(ctx)
		if err != nil {
			return connector.Checkpoint{}, nil, fmt.Errorf("acquire: %w", err)
		}
		known, err := l.sink.known(ctx, k, false)
		if err != nil {
			return connector.Checkpoint{}, nil, l.readError("acquire", err)
		}
		found, sequence, ok, err := l.read(ctx, k)
		if err != nil {
			return connector.Checkpoint{}, nil, l.readError("acquire: read checkpoint", err)
		}
		if ok && written.Epoch != 0 && found.Owner == written.Owner && found.Epoch == written.Epoch {
			l.last = sequence // it had landed
			return found, k, nil
		}
		if ok {
			err = l.claim.Admit(found)
		} else {
			found, err = l.first(ctx, k)
		}
		if err != nil {
			return connector.Checkpoint{}, nil, l.readError("acquire", err)
		}
		l.last = sequence
		next := l.claim.TakeOver(found, time.Now())
		m, err := l.checkpointMessage(next, known.ttl)
		if err != nil {
			return connector.Checkpoint{}, nil, fmt.Errorf("acquire: %w", err)
		}
		if err := tooLarge([]*natsgo.Msg{m}, nil, nil, limit(k, known)); err != nil {
			return connector.Checkpoint{}, nil, err
		}
		sequence, err = k.publish(ctx, l.batchID(), []*natsgo.Msg{m}, false)
		if err == nil {
			l.last = sequence
			return next, k, nil
		}
		written, cause = next, err
		if err := l.tryAgain(ctx, k, err); err != nil {
			return connector.Checkpoint{}, nil, err
		}
	}
	return connector.Checkpoint{}, nil, fmt.Errorf("acquire: unclear after %d attempts: %w", takeOvers, cause)
}

// tryAgain returns nil where a take-over that failed is worth another attempt at once, after a fresh look.
func (l *Log) tryAgain(ctx context.Context, k *link, cause error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("acquire: %w", err)
	}
	var notSent *notSentError
	var api *apiError
	switch {
	case errors.As(cause, &notSent):
		return fmt.Errorf("acquire: %w: %w", connector.ErrNotNow, cause)
	case errors.As(cause, &api):
		switch {
		case api.Code == codeWrongSequence || api.Code == codeWrongSequencePlain:
			return nil
		case api.Code == codeTTLDisabled:
			_, err := l.sink.known(ctx, k, true)
			return err
		}
		return l.readError("acquire", api)
	}
	if refusal := l.forbidden(k, cause); refusal != nil {
		return refusal
	}
	if errors.Is(cause, errNoResponders) {
		info, err := k.streamInfo(ctx, l.sink.config.Stream)
		if err != nil {
			return l.readError("acquire", err)
		}
		if !covered(info.Config.Subjects, l.checkpoint) {
			return &connector.Refusal{Thing: "JetStream stream " + l.sink.config.Stream, Cause: "it does not take the subject " + l.checkpoint, Mend: l.sink.subjectsCommand(info.Config.Subjects)}
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
	other, err := l.sink.aliases.find(ctx, l.sink, k, l.claim.Stream.SourceKey, l.checkpoint)
	if err != nil {
		return connector.Checkpoint{}, err
	}
	if other != "" {
		return connector.Checkpoint{}, l.claim.RefuseAlias(other)
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
			Mend: "remove it, or give the stream another name with `name:`",
		}
	}
	return connector.Checkpoint{Sequence: e.Sequence, Certified: e.Sequence}, nil
}
