package erase

import (
	"context"
	"slices"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/connector"
)

// findFormer looks for the chat under the former names of a stream: a rename leaves there what was written before it.
// The histories that backfill delivered are looked for as well, as each is renamed by itself, or not at all.
func (e *Engine) findFormer(ctx context.Context, current *target) ([]*target, error) {
	var found []*target
	names := current.checkpoint.FormerNames
	for _, name := range names {
		former := &target{sink: current.sink, claim: current.claim, chat: current.chat, formerOf: current.claim.Stream.Name}
		former.claim.Stream.Name = name
		c, there, err := pipeline.Peek(ctx, former.sink, former.claim)
		if err != nil {
			return nil, err
		}
		// A name that did not become this stream's belongs to another list, or is in force again.
		if there && (c.RenamedTo == former.formerOf || slices.Contains(names, c.RenamedTo)) {
			if there, err = e.count(ctx, former); err != nil {
				return nil, err
			}
			if c.Privacy != current.claim.Privacy {
				e.logger.Warn("under a former name the identifiers are written in another way, so the chat may not be found there",
					"stream", name, "privacy", c.Privacy, "configured", current.claim.Privacy)
			}
			if there {
				found = append(found, former)
			}
		}
		history, err := e.formerHistory(ctx, current, name)
		if err != nil {
			return nil, err
		}
		if history != nil {
			found = append(found, history)
		}
	}
	return found, nil
}

// formerHistory is the history of a former name, if it was not renamed; else nil.
func (e *Engine) formerHistory(ctx context.Context, current *target, name string) (*target, error) {
	history := *current
	live := current.claim.Stream
	live.Name = name
	history.claim.Stream, history.formerOf = connector.HistoryStream(live), current.claim.Stream.Name
	sink, err := e.historySink(current.sink, history.claim.Stream)
	if sink == nil || err != nil {
		return nil, err
	}
	history.sink = sink
	c, there, err := pipeline.Peek(ctx, sink, history.claim)
	if !there || err != nil || c.RenamedTo != "" || !history.claim.Stream.HasSourceKey(c.SourceKey) {
		return nil, err // a history that was renamed is among the former names of the new one
	}
	there, err = e.count(ctx, &history)
	if !there || err != nil {
		return nil, err
	}
	return &history, nil
}
