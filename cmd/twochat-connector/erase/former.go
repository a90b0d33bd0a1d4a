package erase

import (
	"context"
	"fmt"
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
		former.keys.all = current.checkpoint.FormerKeys
		c, there, err := pipeline.Peek(ctx, former.sink, former.claim)
		if err != nil {
			return nil, err
		}
		if !there {
			if err := e.countLost(ctx, former); err != nil {
				return nil, err
			}
		}
		// A name that did not become this stream's belongs to another list, or is in force again.
		if there && (c.RenamedTo == former.formerOf || slices.Contains(names, c.RenamedTo)) {
			if there, err = e.count(ctx, former); err != nil {
				return nil, err
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

// countLost counts what there is of the chat under a former name whose checkpoint is gone: it cannot be taken over, and
// so nothing can be erased there.
func (e *Engine) countLost(ctx context.Context, former *target) error {
	r := &StreamReport{Stream: former.claim.Stream.Name, FormerNameOf: former.formerOf, NoCheckpoint: true}
	e.report.Streams = append(e.report.Streams, r)
	learn := func(stored connector.StoredRecord) error {
		former.chat.Learn(stored.Event)
		return nil
	}
	none := func([]byte) error { return nil }
	if err := former.sink.ReadBack(ctx, r.Stream, learn, none); err != nil {
		return fmt.Errorf("read what stream %s wrote as %s: %w", r.FormerNameOf, r.Stream, err)
	}
	err := former.sink.ReadBack(ctx, r.Stream, func(stored connector.StoredRecord) error {
		if stored.Fault != nil {
			e.report.unreadable(stored.Position)
			return nil
		}
		if r.Events.Looked++; former.chat.Event(stored.Event) {
			r.Events.Found++
		}
		return nil
	}, func(reject []byte) error {
		if r.Rejects.Looked++; former.chat.Reject(reject) {
			r.Rejects.Found++
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read what stream %s wrote as %s: %w", r.FormerNameOf, r.Stream, err)
	}
	return nil
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
