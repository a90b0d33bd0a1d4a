package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/twochat-connector/twochat-connector/connector"
)

// followed is an event on its way to a follower.
type followed struct {
	time  time.Time
	seen  connector.Seen
	event []byte
}

// follower passes events to a caller, one at a time.
type follower struct {
	sink    *Sink
	source  string // "" for all
	options connector.FollowOptions

	mu   sync.Mutex
	each func([]byte) error
	err  error // the caller's
}

// Follow calls each with the newest events and then with every later one, in order within each chat.
func (s *Sink) Follow(ctx context.Context, options connector.FollowOptions, each func(event []byte) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	f := &follower{sink: s, options: options, each: each}
	if options.Stream != "" {
		f.source = connector.Stream{Name: options.Stream}.Source()
	}
	err := f.run(ctx, cancel)
	switch {
	case f.err != nil:
		return f.err
	case ctx.Err() != nil:
		return nil
	}
	return wrap("follow", err)
}

func (f *follower) run(ctx context.Context, cancel context.CancelFunc) error {
	count, err := f.sink.partitions(ctx, f.sink.topics.events)
	if err != nil {
		return err
	}
	past := f.options.Last > 0 || !f.options.Since.IsZero()
	ends, err := f.ends(ctx, count, past) // if no past events are requested, an event too many does no harm
	if err != nil {
		return err
	}
	if f.options.Since.IsZero() {
		err = f.giveLast(ctx, ends)
	} else {
		err = f.giveSince(ctx, ends)
	}
	if err != nil || f.err != nil || f.options.Once {
		return err
	}
	var wait sync.WaitGroup
	defer wait.Wait()
	defer cancel()
	for p := range ends {
		wait.Go(func() {
			f.live(ctx, p, ends[p].end)
			cancel()
		})
	}
	<-ctx.Done()
	return nil
}

// giveLast passes on the newest events that were requested.
func (f *follower) giveLast(ctx context.Context, ends []extent) error {
	newest := make([][]followed, len(ends))
	if f.options.Last > 0 {
		for p, end := range ends {
			var err error
			if newest[p], err = f.newest(ctx, p, end, f.options.Last); err != nil {
				return err
			}
		}
	}
	for _, e := range f.last(newest, f.options.Last) {
		if !f.give(e) {
			break
		}
	}
	return nil
}

// ends returns the extents of what is committed. With settled they include all that was acknowledged before: a broker
// acknowledges the end of a transaction some milliseconds before its markers are in every partition, and until then
// readers do not see its events. It waits only as long as that may take, but not for the open transaction of a writer
// that died.
func (f *follower) ends(ctx context.Context, count int, settled bool) ([]extent, error) {
	topic := f.sink.topics.events
	var written []extent // at the beginning, without what others write meanwhile
	if settled {
		var err error
		if written, err = f.sink.client.extents(ctx, topic, count, kafkago.ReadUncommitted); err != nil {
			return nil, err
		}
	}
	for wait := 4 * time.Millisecond; ; wait *= 2 {
		ends, err := f.sink.client.extents(ctx, topic, count, kafkago.ReadCommitted)
		if err != nil || reached(ends, written) || wait > maxSettling {
			return ends, err
		}
		if err := connector.Sleep(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// maxSettling is the longest of the pauses, each twice the previous one: a second in total. Markers took up to 110 ms
// in measurements.
const maxSettling = 512 * time.Millisecond

// reached reports whether each partition ends at least where it ended when it was written to.
func reached(ends, written []extent) bool {
	for p := range written {
		if ends[p].end < written[p].end {
			return false
		}
	}
	return true
}

// newest reads the last n events of a partition. It begins further and further back until it finds that many or reaches
// the beginning.
func (f *follower) newest(ctx context.Context, p int, end extent, n int) ([]followed, error) {
	for step := int64(4*n + 100); ; step *= 4 {
		from := max(end.start, end.end-step)
		var list []followed
		_, err := f.sink.client.read(ctx, topicPartition{f.sink.topics.events, int32(p)}, from, end.end,
			f.sink.client.transactionEnd(), func(r *protocol.Record) error {
				if e, ok := f.take(r); ok {
					if len(list) >= 2*n {
						list = append(list[:0], list[len(list)-n+1:]...)
					}
					list = append(list, e)
				}
				return nil
			})
		if err != nil {
			return nil, err
		}
		if len(list) >= n || from == end.start {
			return list, nil
		}
	}
}

// last takes the n newest events from the ends of the partitions' lists, oldest first. The events of a partition stay
// in order, whatever the clocks of their writers showed.
func (f *follower) last(lists [][]followed, n int) []followed {
	var taken []followed
	for len(taken) < n {
		newest := -1
		for p, list := range lists {
			if len(list) > 0 && (newest < 0 || f.compare(list[len(list)-1], lists[newest][len(lists[newest])-1]) > 0) {
				newest = p
			}
		}
		if newest < 0 {
			break
		}
		end := len(lists[newest]) - 1
		taken, lists[newest] = append(taken, lists[newest][end]), lists[newest][:end]
	}
	slices.Reverse(taken)
	return taken
}

// compare orders two events of different partitions: within a stream by sequence, and between streams by the time of
// the commit, which is the only common value.
func (f *follower) compare(a, b followed) int {
	if f.source != "" {
		return cmp.Compare(a.seen.Sequence, b.seen.Sequence)
	}
	return cmp.Or(a.time.Compare(b.time), cmp.Compare(a.seen.Sequence, b.seen.Sequence))
}

// live passes on what is committed to a partition from an offset on, until the context ends or the caller has enough.
func (f *follower) live(ctx context.Context, p int, from int64) {
	at := topicPartition{f.sink.topics.events, int32(p)}
	for ctx.Err() == nil {
		answer, err := f.sink.client.fetch(ctx, at, kafkago.ReadCommitted, from, time.Second)
		if err == nil {
			var next int64
			next, err = committed(answer, from, func(r *protocol.Record) error {
				if e, ok := f.take(r); ok && !f.give(e) {
					return errEnough
				}
				return nil
			})
			if errors.Is(err, errEnough) {
				return
			}
			if err == nil {
				if next == from && answer.LastStableOffset < answer.HighWatermark {
					_ = connector.Sleep(ctx, 50*time.Millisecond) // an open transaction: some brokers answer at once
				}
				from = next
				continue
			}
		}
		if errors.Is(err, kafkago.OffsetOutOfRange) { // deleted meanwhile
			if ends, err := f.sink.client.extents(ctx, at.topic, p+1, kafkago.ReadCommitted); err == nil {
				from = max(ends[p].start, min(from, ends[p].end))
			}
		}
		if ctx.Err() == nil {
			f.sink.logger.Warn("following is interrupted", "partition", p, "err", err)
		}
		_ = connector.Sleep(ctx, time.Second)
	}
}

var errEnough = errors.New("enough")

// take makes a followed event from a record; ok is false if the event was not requested.
func (f *follower) take(r *protocol.Record) (e followed, ok bool) {
	if source := attributeSource.of(r.Headers); f.source != "" && string(source) != f.source {
		return e, false
	}
	seen, ok := seenOf(r.Headers)
	if !ok {
		return e, false
	}
	value, err := protocol.ReadAll(r.Value)
	if err != nil {
		return e, false
	}
	event, err := decodeEvent(r.Headers, value)
	if err != nil {
		return e, false
	}
	return followed{r.Time, seen, event}, true
}

// give passes an event to the caller, and returns false if the caller has enough.
func (f *follower) give(e followed) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return false
	}
	if err := f.each(e.event); err != nil {
		f.err = fmt.Errorf("follow: %w", err)
		return false
	}
	return true
}
