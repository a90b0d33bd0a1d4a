package quarantine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// read reads a stream's quarantine, and looks for its items in the log.
func (r *Replay) read(ctx context.Context, one *replayed) error {
	name := one.claim.Stream.Name
	checkpoint, found, err := pipeline.Peek(ctx, r.sink, one.claim)
	switch {
	case err != nil:
		return fmt.Errorf("read the checkpoint of stream %s: %w", name, err)
	case !found:
		return nil // nothing was ever read, so nothing was quarantined
	}
	if err := one.claim.Admit(checkpoint); err != nil {
		return err
	}
	one.checkpoint = checkpoint
	if one.names, err = pipeline.NamesOf(ctx, r.sink, name); err != nil {
		return err
	}
	byID := map[string]int{}
	for _, under := range one.names.All {
		err = r.sink.ReadBack(ctx, under, nil, func(reject []byte) error {
			item, ours := Parse(reject)
			if !ours || item.Stream != under {
				return nil
			}
			c := r.judge(one, item)
			if at, twice := byID[item.ID]; twice { // it was quarantined twice: the record with more information counts
				if one.items[at].outcome != Deliver {
					one.items[at] = c
				}
				return nil
			}
			byID[item.ID] = len(one.items)
			one.items = append(one.items, c)
			return nil
		})
		if err != nil {
			return fmt.Errorf("read the quarantine of stream %s: %w", under, err)
		}
	}
	slices.SortStableFunc(one.items, func(a, b *candidate) int { return a.item.Recorded.Compare(b.item.Recorded) })
	if len(one.items) == 0 && checkpoint.Counters.InQuarantine(nil) == 0 {
		return nil
	}
	return one.lookFor(ctx, r.sink)
}

// judge decides what an item can become today.
func (r *Replay) judge(of *replayed, item Item) *candidate {
	c := &candidate{item: item, outcome: Deliver}
	c.item.Raw = nil
	switch {
	case item.Way() == NoWay:
		c.outcome, c.because = NotKept, "larger than the "+strconv.Itoa(twochat.MaxItem>>20)+" MiB that an event may have"
	case item.Kept == 0 && item.Length > 0:
		c.outcome, c.because = NotKept, "the item was left out, for privacy or as the sink takes none that large"
	case item.Kept < item.Length:
		c.outcome = NotKept
		c.because = "longer than the " + strconv.Itoa(connector.QuarantineBytes>>10) + " KiB that are kept of an item"
	case !item.whole():
		c.outcome, c.because = NoEvent, "the bytes in the quarantine are not those that were put there"
	case r.room < item.Kept:
		c.outcome, c.because = LeftBehind, "more items than are held in memory at once"
	default:
		c.message = of.source.Client.Item(of.claim.Stream, item.Raw, item.Recorded)
		if c.message.Fault != "" {
			c.outcome, c.because = NoEvent, c.message.Fault
			c.message = connector.Message{}
			break
		}
		r.room -= len(c.message.Data)
	}
	return c
}

// lookFor reads the log, under all names of the stream, and records which of the items are in it, and for which that
// cannot be known any more.
func (s *replayed) lookFor(ctx context.Context, sink sinks.Sink) error {
	byToken := map[string][]*candidate{}
	for _, c := range s.items {
		byToken[c.item.token()] = append(byToken[c.item.token()], c)
		if token := connector.HashToken(c.message.Key); c.outcome == Deliver && token != c.item.token() {
			byToken[token] = append(byToken[token], c) // it had no usable id then
		}
	}
	var oldest logged
	for _, name := range s.names.All {
		err := sink.ReadBack(ctx, name, func(stored connector.StoredRecord) error {
			if key, ok := oldest.met(stored); ok {
				for _, c := range byToken[connector.HashToken(key)] {
					c.outcome, c.because = InLog, ""
				}
			}
			return nil
		}, func([]byte) error { return nil })
		if err != nil {
			return fmt.Errorf("read the log of stream %s: %w", name, err)
		}
	}
	erased, err := pipeline.ErasedUnder(ctx, sink, s.names.All)
	if err != nil {
		return err
	}
	s.erased = connector.SortErased(erased)
	first := oldest.sequence
	for _, e := range slices.Backward(s.erased) {
		if e.Sequence > 0 && e.Sequence+1 == first {
			first = e.Sequence
		}
		for _, c := range byToken[connector.HashToken(e.Key)] {
			c.outcome, c.because = Erased, "erased on request, and not brought back"
		}
	}
	away := s.checkpoint.Elsewhere
	for first > 0 && away.Has(first-1) { // what other sinks have was never in this log
		first--
	}
	base, last := s.checkpoint.Base, s.checkpoint.Sequence
	whole := first == base+1 || away.Count(base+1, last) == last-base
	for _, c := range s.candidates() {
		if !whole && (oldest.sequence == 0 || c.item.Recorded.Before(oldest.recorded)) {
			c.outcome, c.because = Unknown, "the log begins after it came in, and may have held it before"
		}
	}
	return nil
}

// logged is the oldest event of a log that was read.
type logged struct {
	sequence uint64
	recorded time.Time
}

// met notes an event, and returns the key of its message; ok is false for what is no event, which audit reports.
func (l *logged) met(stored connector.StoredRecord) (key connector.Key, ok bool) {
	var e struct {
		ID, Sequence string
		RecordedTime time.Time
	}
	if stored.Fault != nil || json.Unmarshal(stored.Event, &e) != nil {
		return key, false
	}
	sequence, err := strconv.ParseUint(e.Sequence, 10, 64)
	if err == nil && (l.sequence == 0 || sequence < l.sequence) {
		l.sequence, l.recorded = sequence, e.RecordedTime
	}
	return connector.MessageKey(e.ID), true
}
