package audit

import (
	"context"
	"errors"
	"fmt"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// readNames reads a stream's log: first what was written under its former names, in the order of the renames, which is
// that of the sequences, and then what was written under its present one.
func (one *audited) readNames(ctx context.Context, sink sinks.Sink) error {
	for _, name := range one.checkpoint.FormerNames {
		claim := one.claim
		claim.Stream.Name = name
		_, found, err := pipeline.Peek(ctx, sink, claim)
		if err != nil {
			return fmt.Errorf("read the checkpoint of stream %s: %w", name, err)
		}
		before := len(one.log.events)
		if err := one.readName(ctx, sink, name); err != nil {
			return err
		}
		one.log.NextName()
		one.former = append(one.former, FormerName{
			Name: name, Events: len(one.log.events) - before, NoCheckpoint: !found,
		})
	}
	return one.readName(ctx, sink, one.claim.Stream.Name)
}

// readName reads what was written under a name.
func (one *audited) readName(ctx context.Context, sink sinks.Sink, name string) error {
	err := sink.ReadBack(ctx, name, one.log.Add, one.log.AddReject)
	var refusal *connector.Refusal
	if err == nil || ctx.Err() != nil || errors.As(err, &refusal) {
		return err
	}
	return cli.Hinted(err, "`twochat-connector check` shows what is wrong with the sink")
}

// readErased reads what was erased of a stream on request, under all its names.
func (one *audited) readErased(ctx context.Context, sink sinks.Sink) error {
	names := append([]string{one.claim.Stream.Name}, one.checkpoint.FormerNames...)
	erased, err := pipeline.ErasedUnder(ctx, sink, names)
	if err != nil {
		return err
	}
	one.log.AddErased(connector.SortErased(erased), one.checkpoint.Sequence)
	return nil
}
