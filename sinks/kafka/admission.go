package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/twochat-connector/twochat-connector/connector"
)

// admission examines what the topics hold of a stream, and decides whether a claim may take over the stream. It changes
// nothing in them.
type admission struct {
	sink  *Sink
	claim connector.Claim
}

// errSurpassed means that the topics hold something newer than what was read.
var errSurpassed = errors.New("what was read is older than what was committed: the broker that was read was " +
	"behind the others")

// reading is what a new owner finds in the topics.
type reading struct {
	seen      sighting
	positions positions
	list      []found
}

// read reads the checkpoint and the seen window.
func (a *admission) read(ctx context.Context, count int, standing *connector.HighWaterMark) (r reading, err error) {
	if r.seen, err = a.admitted(ctx, count, true); err != nil {
		return r, err
	}
	if !a.claim.FirstStart {
		if err := standing.Admit(a.claim.Stream.Name, r.seen.checkpoint, r.seen.found); err != nil {
			return r, err
		}
	}
	if r.positions, err = readPositions(r.seen.checkpoint.Sink); err != nil {
		return r, err
	}
	if err := a.pin(&r.positions, count); err != nil {
		return r, err
	}
	if err := a.identified(ctx, &r.positions); err != nil {
		return r, err
	}
	ends, err := a.sink.client.extents(ctx, a.sink.topics.events, count, kafkago.ReadUncommitted)
	if err != nil {
		return r, err
	}
	if err := a.truncated(r.positions, ends); err != nil {
		return r, err
	}
	ends = ends[:r.positions.Partitions] // the stream has nothing in the others
	if r.list, err = a.window(ctx, r.positions, ends, &r.seen); err != nil {
		return r, err
	}
	r.positions.rebuild(r.list, ends, a.claim.Window, time.Now())
	return r, nil
}

// admitted reads the newest checkpoint and checks that this claim may take over the stream.
func (a *admission) admitted(ctx context.Context, partitions int, owned bool) (seen sighting, err error) {
	seen, err = a.sink.checkpoints.newest(ctx, a.claim.Stream, owned)
	switch {
	case err != nil:
		return seen, fmt.Errorf("read the checkpoint: %w", err)
	case seen.found:
		return seen, a.claim.Admit(seen.checkpoint)
	case seen.alias != "" && !a.claim.RenamedFrom(seen.alias):
		return seen, a.claim.RefuseAlias(seen.alias)
	case a.claim.FirstStart || owned:
		return seen, nil
	}
	orphans, err := a.orphans(ctx, partitions)
	if err != nil || !orphans {
		return seen, err
	}
	// Another instance may have started the stream after its checkpoint was looked up.
	if seen, err = a.sink.checkpoints.newest(ctx, a.claim.Stream, true); err != nil {
		return seen, fmt.Errorf("read the checkpoint: %w", err)
	}
	if !seen.found {
		return seen, a.claim.RefuseOrphans()
	}
	return seen, a.claim.Admit(seen.checkpoint)
}

// orphans reports whether the events topic holds events of this stream.
func (a *admission) orphans(ctx context.Context, partitions int) (bool, error) {
	ends, err := a.sink.client.extents(ctx, a.sink.topics.events, partitions, kafkago.ReadUncommitted)
	if err != nil {
		return false, err
	}
	return a.sink.census.holds(ctx, a.sink, a.claim.Stream.Source(), ends)
}

// pin decides the number of partitions over which the stream's chats are spread.
func (a *admission) pin(held *positions, count int) error {
	accept := a.sink.config.AcceptPartitions
	topic := "topic " + a.sink.topics.events
	switch {
	case held.Partitions == 0:
		held.Partitions = count
	case held.Partitions > count:
		return &connector.Refusal{
			Thing: topic, Cause: fmt.Sprintf("it has %d partitions, but stream %s was spread over %d: it is a different topic, or "+
				"was recreated",
				count, a.claim.Stream.Name, held.Partitions),
			Hint: "restore the number of partitions: " + a.sink.hints.partitionsCommand(a.sink.topics.events, held.Partitions),
		}
	case accept > count, accept != 0 && accept < held.Partitions:
		return &connector.Refusal{
			Thing: "--accept-partitions",
			Cause: fmt.Sprintf("%d is not between the pinned count, %d, and the topic's, %d", accept, held.Partitions, count),
			Hint:  fmt.Sprintf("remove it, or give %d", count),
		}
	case accept != 0 && accept > held.Partitions:
		a.sink.logger.Warn("chats are spread over more partitions from now on", "stream", a.claim.Stream.Name, "before",
			held.Partitions, "now", accept)
		held.Partitions = accept
	case held.Partitions < count && accept == 0:
		a.sink.logger.Warn("the topic has more partitions than the stream uses", "stream", a.claim.Stream.Name, "topic",
			a.sink.topics.events,
			"partitions", count, "used", held.Partitions, "hint", fmt.Sprintf("no action is needed; "+
				"`twochat-connector run --accept-partitions %d` uses all of them, but moves chats", count))
	}
	return nil
}

// identified refuses an events topic that is not the one to which the stream was written, and records its id. Offsets
// do not show that, as aborted transactions move them too.
func (a *admission) identified(ctx context.Context, held *positions) error {
	ids, err := a.sink.client.topicIDs(ctx, a.sink.topics.all())
	if err != nil {
		return err
	}
	now := ids[a.sink.topics.events]
	if held.Topic != "" && now != "" && held.Topic != now && !a.claim.FirstStart {
		return &connector.Refusal{
			Thing: "topic " + a.sink.topics.events,
			Cause: fmt.Sprintf("it was recreated: stream %s was written to the topic with the id %s, but this one has %s",
				a.claim.Stream.Name, held.Topic, now),
			Hint: "restore it, or continue without its former records with `twochat-connector run --first-start`",
		}
	}
	if now != "" {
		held.Topic = now
	}
	return nil
}

// truncated refuses a topic that ends before an event that it had acknowledged.
func (a *admission) truncated(held positions, ends []extent) error {
	if a.claim.FirstStart {
		return nil
	}
	for p, next := range held.Next {
		if p < len(ends) && next > ends[p].end {
			return &connector.Refusal{
				Thing: fmt.Sprintf("topic %s, partition %d", a.sink.topics.events, p),
				Cause: fmt.Sprintf("it ends at offset %d, but events were acknowledged up to %d: the brokers lost them, or the "+
					"topic was recreated", ends[p].end, next),
				Hint: "restore it, or continue without them with `twochat-connector run --first-start`",
			}
		}
	}
	return nil
}

// window returns the seen window of the checkpoint. If there is no checkpoint and the operator declared a first start,
// the events in the topic are the log so far, and the checkpoint is set to their end.
func (a *admission) window(ctx context.Context, held positions, ends []extent, seen *sighting) ([]found, error) {
	source, checkpoint := a.claim.Stream.Source(), &seen.checkpoint
	if seen.found && checkpoint.Sequence > 0 {
		list, newer, err := a.sink.scans.window(ctx, source, held.from(checkpoint, time.Now()), ends, a.claim.Window,
			checkpoint)
		if err != nil || newer == 0 {
			return list, err
		}
		if !a.claim.FirstStart {
			return nil, fmt.Errorf("%w: events up to %d", errSurpassed, newer)
		}
	} else if !a.claim.FirstStart {
		return nil, a.unexpected(ctx, source, ends, seen)
	}
	list, _, err := a.sink.scans.window(ctx, source, nil, ends, a.claim.Window, nil)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	checkpoint.Started = true
	checkpoint.Sequence = list[len(list)-1].seen.Sequence
	checkpoint.Certified = checkpoint.Sequence
	return list, nil
}

// unexpected refuses events beside a checkpoint that does not count any.
func (a *admission) unexpected(ctx context.Context, source string, ends []extent, seen *sighting) error {
	if !seen.found {
		return nil // such events were looked for already
	}
	list, _, err := a.sink.scans.window(ctx, source, readFrom(seen), ends, 1, nil)
	if err == nil && len(list) > 0 {
		err = fmt.Errorf("%w: events up to %d", errSurpassed, list[len(list)-1].seen.Sequence)
	}
	return err
}

// readFrom returns the offsets from which to look for events that came after a checkpoint.
func readFrom(seen *sighting) []int64 {
	held, err := readPositions(seen.checkpoint.Sink)
	if err != nil {
		return nil
	}
	return held.Next
}

// outdated refuses a checkpoint that is older than the events beside it. Both are committed together, so a newer
// checkpoint must have existed.
func (a *admission) outdated(sequence uint64) error {
	return &connector.Refusal{
		Thing: "stream " + a.claim.Stream.Name,
		Cause: fmt.Sprintf("its newest checkpoint is at sequence %d, but newer events are committed: topic %s was restored, or "+
			"lost its end", sequence, a.sink.topics.checkpoints),
		Hint: "restore that topic as it was, or continue after the newest event with `twochat-connector run --first-start`",
	}
}
