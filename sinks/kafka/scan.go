package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/segmentio/kafka-go/protocol"

	"github.com/twochat-connector/twochat-connector/connector"
)

// scans reads the events topic for all streams of the process: those that ask while a reading is in progress share the
// next one.
type scans struct {
	sink *Sink

	mu      sync.Mutex
	waiting []*scan
	running bool
}

// scan asks for the records of one source, or of all.
type scan struct {
	source string  // "" for all
	from   []int64 // by partition; advanced to what was read
	to     []int64
	// each is called for each record: for one partition from one goroutine, for several partitions concurrently.
	each func(partition int, r *protocol.Record) error
	done chan error
}

// run reads what the scan asks for and waits for it.
func (s *scans) run(ctx context.Context, asked *scan) error {
	asked.done = make(chan error, 1)
	s.mu.Lock()
	s.waiting = append(s.waiting, asked)
	if !s.running {
		s.running = true
		s.sink.background.Go(s.work)
	}
	s.mu.Unlock()
	select {
	case err := <-asked.done:
		return err
	case <-ctx.Done():
		return ctx.Err() // the scan goes on, and its result is dropped
	}
}

func (s *scans) work() {
	for {
		s.mu.Lock()
		batch := s.waiting
		s.waiting = nil
		s.running = len(batch) > 0
		s.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		err := s.read(batch)
		for _, asked := range batch {
			asked.done <- err
		}
	}
}

const parallelReads = 4

// read serves a batch of scans with one reading of each partition.
func (s *scans) read(batch []*scan) error {
	bySource := make(map[string][]*scan)
	partitions := 0
	for _, asked := range batch {
		bySource[asked.source] = append(bySource[asked.source], asked)
		partitions = max(partitions, len(asked.to))
	}
	errs := make([]error, partitions)
	slots := make(chan struct{}, parallelReads)
	var wait sync.WaitGroup
	for p := range partitions {
		wait.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			errs[p] = s.readPartition(p, bySource)
		})
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *scans) readPartition(p int, bySource map[string][]*scan) error {
	from, to := int64(-1), int64(-1)
	for _, list := range bySource {
		for _, asked := range list {
			if p < len(asked.to) && asked.from[p] < asked.to[p] {
				if from < 0 || asked.from[p] < from {
					from = asked.from[p]
				}
				to = max(to, asked.to[p])
			}
		}
	}
	if from < 0 {
		return nil
	}
	all := bySource[""]
	_, err := s.sink.client.read(s.sink.life, topicPartition{s.sink.topics.events, int32(p)}, from, to,
		s.sink.client.transactionEnd(), func(r *protocol.Record) error {
			source := string(attributeSource.of(r.Headers))
			for _, list := range [2][]*scan{all, bySource[source]} {
				for _, asked := range list {
					if p >= len(asked.to) || r.Offset < asked.from[p] || r.Offset >= asked.to[p] {
						continue
					}
					if err := asked.each(p, r); err != nil {
						return err
					}
					asked.from[p] = r.Offset + 1
				}
				if source == "" {
					break
				}
			}
			return nil
		})
	return err
}

// census lists the sources that the events topic holds, as far as it was read. It finds out whether a stream without a
// checkpoint has events. The first stream that asks waits for the reading of the topic.
type census struct {
	gate chan struct{} // holds one token
	next []int64

	mu      sync.Mutex
	sources map[string]bool
}

func newCensus() *census {
	c := &census{gate: make(chan struct{}, 1), sources: make(map[string]bool)}
	c.gate <- struct{}{}
	return c
}

// holds reports whether there are events of the source in the topic. An interrupted reading continues where it stopped.
func (c *census) holds(ctx context.Context, s *Sink, source string, ends []extent) (bool, error) {
	var token struct{}
	select {
	case token = <-c.gate:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	// The topic is read to its end even if the caller stops waiting, as a large topic may take longer than any caller
	// waits.
	read := make(chan error, 1)
	s.background.Go(func() {
		err := c.read(s, ends)
		c.gate <- token
		read <- err
	})
	select {
	case err := <-read:
		if err != nil {
			return false, fmt.Errorf("look for events without a checkpoint: %w", err)
		}
	case <-ctx.Done():
		return false, ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sources[source], nil
}

// read continues the census where it stopped.
func (c *census) read(s *Sink, ends []extent) error {
	for len(c.next) < len(ends) {
		c.next = append(c.next, 0)
	}
	asked := &scan{
		from: make([]int64, len(ends)), to: make([]int64, len(ends)),
		each: func(_ int, r *protocol.Record) error {
			name := attributeSource.of(r.Headers)
			c.mu.Lock()
			defer c.mu.Unlock()
			if !c.sources[string(name)] {
				c.sources[string(name)] = true
			}
			return nil
		},
	}
	for p, end := range ends {
		if c.next[p] > end.end { // the topic is not the one that was read
			c.next[p] = 0
		}
		asked.from[p], asked.to[p] = max(c.next[p], end.start), end.end
	}
	err := s.scans.run(s.life, asked)
	if s.life.Err() == nil { // otherwise the scan may still be using it
		copy(c.next, asked.from)
		if err == nil {
			copy(c.next, asked.to)
		}
	}
	return err
}

// window reads a stream's newest events back from the events topic, beginning at its marks, and joins them with the
// keys in the checkpoint. It returns them in log order, with partition and offset of those that it read. newer is the
// highest sequence that it found above the checkpoint's, or 0 if the checkpoint is the newest.
func (s *scans) window(
	ctx context.Context, source string, from []int64, ends []extent, size int, checkpoint *connector.Checkpoint,
) (list []found, newer uint64, err error) {
	asked := &scan{source: source, from: make([]int64, len(ends)), to: make([]int64, len(ends))}
	for p, end := range ends {
		asked.from[p], asked.to[p] = end.start, end.end
		if p < len(from) {
			asked.from[p] = max(end.start, from[p])
		}
	}
	byPartition := make([]map[uint64]found, len(ends))
	above := make([]uint64, len(ends))
	lowest := uint64(0)
	if checkpoint != nil {
		lowest = checkpoint.Sequence - min(checkpoint.Sequence, uint64(size))
	}
	asked.each = func(p int, r *protocol.Record) error {
		seen, ok := seenOf(r.Headers)
		if !ok || seen.Sequence <= lowest {
			return nil
		}
		if checkpoint != nil && seen.Sequence > checkpoint.Sequence {
			above[p] = max(above[p], seen.Sequence)
			return nil
		}
		if byPartition[p] == nil {
			byPartition[p] = make(map[uint64]found)
		}
		byPartition[p][seen.Sequence] = found{seen, p, r.Offset}
		return nil
	}
	if err := s.run(ctx, asked); err != nil {
		return nil, 0, fmt.Errorf("read the newest events back: %w", err)
	}
	all := make(map[uint64]found)
	if checkpoint != nil {
		first := checkpoint.Sequence - uint64(len(checkpoint.Tail)) + 1
		for i, key := range checkpoint.Tail {
			all[first+uint64(i)] = found{connector.Seen{
				Key: key, Sequence: first + uint64(i),
				Late: slices.Contains(checkpoint.TailLate, i),
			}, -1, 0}
		}
	}
	for _, part := range byPartition {
		maps.Copy(all, part)
	}
	list = slices.Collect(maps.Values(all))
	slices.SortFunc(list, func(a, b found) int {
		if a.seen.Sequence < b.seen.Sequence {
			return -1
		}
		return 1
	})
	return list[max(0, len(list)-size):], slices.Max(append(above, 0)), nil
}

// found is an event of the seen window; partition is -1 if only the checkpoint has it.
type found struct {
	seen      connector.Seen
	partition int
	offset    int64
}
