package file

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Write writes events and rejects, in order. An error that wraps connector.ErrNotNow, or is a *connector.Rejected or a
// *connector.Refusal, means that nothing was written; after any other error it is unclear what was written.
type Write func(ctx context.Context, s connector.Stream, events []connector.Event, rejects []connector.Reject) error

// StateStore remembers each stream's checkpoint and newest keys: in a folder that is locked against other processes, or
// only in memory. A commit writes first, then records. Its logs fence one another within the process. It is safe for
// concurrent use.
type StateStore struct {
	folder  *folder // nil for memory only
	effects effects
	limits  connector.Limits
	// turn, if not nil, allows one commit at a time, of any stream.
	turn chan struct{}

	mu      sync.Mutex // guards the following fields
	opened  bool
	closed  bool
	streams map[string]*streamState
	names   map[string]string // of streams, by source key
}

// effects is what a sink does in addition to keeping checkpoints.
type effects interface {
	// open prepares the sink, and adopts into the folder what was written but not recorded. positions are those of all
	// records. It is called under the folder's lock, before the first Acquire and again after an unclear commit.
	open(ctx context.Context, f *folder, positions []json.RawMessage, claim connector.Claim) error
	// orphans lists the newest events of a stream that has no record.
	orphans(ctx context.Context, stream string) ([]connector.Seen, error)
	// recall adds older events to a stream's newest events as its record has them, up to a window, oldest first.
	recall(ctx context.Context, stream string, seen []connector.Seen, window int) ([]connector.Seen, error)
	write(ctx context.Context, c connector.Claim, events []connector.Event, rejects []connector.Reject) (written, error)
	// position is stored in Checkpoint.Sink: up to it, everything that was written is recorded, or adopted by open.
	position() (json.RawMessage, error)
	close() error
}

// written is the result of a write.
type written struct {
	position json.RawMessage // as of effects.position
	undo     func() error    // reverts the write; nil if that is impossible
}

// streamState is the state of a stream in a store.
type streamState struct {
	turn chan struct{} // holds one token; whoever takes it works on the stream

	// Guarded by StateStore.mu.
	holder *stateLog

	stale atomic.Bool // what is loaded comes from a folder that is gone

	// Guarded by turn.
	loaded bool
	found  bool
	record record

	standing connector.HighWaterMark
}

// NewStateStore makes a store in a folder, or in memory if dir is empty. It does no I/O.
func NewStateStore(dir string, limits connector.Limits, write Write) *StateStore {
	l := newStateStore(nil, limits, outlet(write))
	if dir != "" {
		l.folder = &folder{disk: &disk{}, dir: filepath.Clean(dir), wayOn: withoutRecord}
	}
	return l
}

func newStateStore(f *folder, limits connector.Limits, e effects) *StateStore {
	return &StateStore{
		folder: f, effects: e, limits: limits, streams: map[string]*streamState{},
		names: map[string]string{},
	}
}

// outlet makes effects from a Write: nothing is stored, and nothing can be undone.
type outlet Write

func (outlet) open(context.Context, *folder, []json.RawMessage, connector.Claim) error { return nil }

func (outlet) orphans(context.Context, string) ([]connector.Seen, error) { return nil, nil }

func (outlet) recall(_ context.Context, _ string, seen []connector.Seen, _ int) ([]connector.Seen, error) {
	return seen, nil
}

func (outlet) position() (json.RawMessage, error) { return nil, nil }

func (outlet) close() error { return nil }

func (o outlet) write(
	ctx context.Context, c connector.Claim, events []connector.Event, rejects []connector.Reject,
) (written, error) {
	return written{}, o(ctx, c.Stream, events, rejects)
}

// Log returns a stream's log in the store.
func (l *StateStore) Log(claim connector.Claim) connector.Log {
	return &stateLog{store: l, claim: claim}
}

// Create creates the parent of the store's folder.
func (l *StateStore) Create() error {
	if l.folder == nil {
		return nil
	}
	return makeFolder(filepath.Dir(l.folder.dir), 0o700)
}

func makeFolder(dir string, mode fs.FileMode) error {
	if err := os.MkdirAll(dir, mode); err != nil {
		return fmt.Errorf("create the folder: %w", plain(err))
	}
	return nil
}

// Close releases the folder. Logs have to be closed before it.
func (l *StateStore) Close() error {
	if l.turn != nil {
		l.turn <- struct{}{}
		defer func() { <-l.turn }()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed, l.opened = true, false
	err := l.effects.close()
	if l.folder != nil {
		err = errors.Join(err, l.folder.close())
	}
	return err
}

var errClosed = errors.New("the sink is closed")

// enter waits for a stream's turn.
func (l *StateStore) enter(ctx context.Context, stream string) (p *streamState, leave func(), err error) {
	l.mu.Lock()
	p = l.streams[stream]
	if p == nil {
		p = &streamState{turn: make(chan struct{}, 1)}
		if l.turn != nil {
			p.turn = l.turn
		}
		l.streams[stream] = p
	}
	l.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	select {
	case p.turn <- struct{}{}:
		return p, func() { <-p.turn }, nil
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

// open takes the folder's lock and loads the names of its streams.
func (l *StateStore) open(ctx context.Context, claim connector.Claim) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return errClosed
	case l.opened && (l.folder == nil || !l.folder.lost()):
		return nil
	}
	if l.folder != nil && l.folder.lost() {
		l.opened = false
		for _, p := range l.streams {
			p.stale.Store(true)
		}
		if err := errors.Join(l.effects.close(), l.folder.close()); err != nil {
			return fmt.Errorf("give up a folder that is gone: %w", plain(err))
		}
	}
	var positions []json.RawMessage
	if l.folder != nil {
		if err := l.folder.open(); err != nil {
			return err
		}
		if l.folder.finish != nil && !l.folder.disk.readOnly {
			if err := l.folder.finish(); err != nil {
				return err
			}
		}
		err := l.folder.each(func(r record) error {
			l.names[r.checkpoint.SourceKey] = r.checkpoint.Stream
			if r.checkpoint.Sink != nil {
				positions = append(positions, r.checkpoint.Sink)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if err := l.effects.open(ctx, l.folder, positions, claim); err != nil {
		return err
	}
	l.opened = true
	return nil
}

// detach copies the slices that a checkpoint shares with its caller.
func detach(c connector.Checkpoint) connector.Checkpoint {
	c.Floor = append(connector.Keys(nil), c.Floor...)
	c.Horizon = append(connector.Keys(nil), c.Horizon...)
	c.Tail = append(connector.Keys(nil), c.Tail...)
	c.TailLate = append([]int(nil), c.TailLate...)
	c.Rejects = append(connector.Keys(nil), c.Rejects...)
	return c
}

// tailBelow is how many certified keys a checkpoint's tail holds.
const tailBelow = 128

// adopt adds events that were written but not recorded, as delivered but not certified.
func (r *record) adopt(seen []connector.Seen) {
	c := &r.checkpoint
	r.seen = append(append([]connector.Seen(nil), r.seen...), seen...)
	for _, s := range seen {
		if s.Late && s.Sequence > c.Certified {
			c.Counters.Late++
		}
		c.Sequence = max(c.Sequence, s.Sequence)
	}
	r.seen = trim(r.seen, c.Certified)
	// The tail has no gap, so it begins after the last gap.
	from := len(r.seen)
	for from > 0 && len(r.seen)-from < int(c.Sequence-c.Certified)+tailBelow && r.seen[from-1].Sequence > c.Base {
		if from < len(r.seen) && r.seen[from-1].Sequence+1 != r.seen[from].Sequence {
			break
		}
		from--
	}
	c.Tail, c.TailLate = nil, nil
	for i, s := range r.seen[from:] {
		c.Tail = append(c.Tail, s.Key)
		if s.Late {
			c.TailLate = append(c.TailLate, i)
		}
	}
}
