package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// stateLog is one owner's log of a stream.
type stateLog struct {
	store *StateStore
	claim connector.Claim
	state ownership
}

// ownership is what a log may do next.
type ownership int

const (
	unowned ownership = iota
	owned             // it acquired, and may commit unless another one took over
	unclear           // it has to acquire first
	closed            // closed
)

var _ connector.Log = (*stateLog)(nil)

func (g *stateLog) Limits() connector.Limits { return g.store.limits }

func (g *stateLog) Close() error {
	g.state = closed
	l := g.store
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.streams[g.claim.Stream.Name]; p != nil && p.holder == g {
		p.holder = nil
	}
	return nil
}

func (g *stateLog) Peek(ctx context.Context) (connector.Checkpoint, bool, error) {
	if err := ctx.Err(); err != nil {
		return connector.Checkpoint{}, false, fmt.Errorf("peek: %w", err)
	}
	l, stream := g.store, g.claim.Stream.Name
	if l.folder != nil {
		r, found, err := l.folder.load(stream)
		return r.checkpoint, found, err
	}
	p, leave, err := l.enter(ctx, stream)
	if err != nil {
		return connector.Checkpoint{}, false, fmt.Errorf("peek: %w", err)
	}
	defer leave()
	return p.record.checkpoint, p.found, nil
}

func (g *stateLog) Acquire(ctx context.Context) (connector.State, error) {
	state, err := g.acquire(ctx)
	var refusal *connector.Refusal
	if err != nil && !errors.As(err, &refusal) {
		err = fmt.Errorf("acquire: %w", err)
	}
	return state, err
}

func (g *stateLog) acquire(ctx context.Context) (connector.State, error) {
	if g.state == closed {
		return connector.State{}, errClosed
	}
	l, name := g.store, g.claim.Stream.Name
	p, leave, err := l.enter(ctx, name)
	if err != nil {
		return connector.State{}, err
	}
	defer leave()
	if err := l.open(ctx, g.claim); err != nil {
		return connector.State{}, l.forbidden(notNow(err))
	}
	if p.stale.Swap(false) {
		p.loaded = false
	}
	if !p.loaded && l.folder != nil {
		if p.record, p.found, err = l.folder.load(name); err != nil {
			return connector.State{}, notNow(err)
		}
	}
	p.loaded = true
	if err := p.standing.Admit(name, p.record.checkpoint, p.found); err != nil {
		p.loaded = false // if the former folder is restored, it is read again
		return connector.State{}, err
	}
	found, err := g.admit(ctx, p)
	if err != nil {
		return connector.State{}, err
	}
	seen, err := l.effects.recall(ctx, name, found.seen, g.claim.Window)
	if err != nil {
		return connector.State{}, notNow(err)
	}
	erased, err := l.erased(name)
	if err != nil {
		return connector.State{}, err
	}
	next := record{checkpoint: g.claim.TakeOver(found.checkpoint, time.Now().UTC()), seen: found.seen}
	if next.checkpoint.Sink, err = l.effects.position(); err != nil {
		return connector.State{}, notNow(err)
	}
	if err := l.take(g, p, next); err != nil {
		return connector.State{}, l.forbidden(err)
	}
	g.state = owned
	seen = seen[max(0, len(seen)-g.claim.Window):]
	return connector.State{
		Checkpoint: next.checkpoint, Seen: append([]connector.Seen(nil), seen...), Erased: erased,
	}, nil
}

// erased is what was erased of a stream on request.
func (l *StateStore) erased(stream string) ([]connector.Seen, error) {
	if l.folder == nil {
		return nil, nil
	}
	return l.folder.erased(stream)
}

// admit decides whether the stream may be taken over, and from which state.
func (g *stateLog) admit(ctx context.Context, p *streamState) (record, error) {
	if p.found {
		return p.record, g.claim.Admit(p.record.checkpoint)
	}
	l, name := g.store, g.claim.Stream.Name
	l.mu.Lock()
	other, taken := l.nameOf(g.claim.Stream)
	l.mu.Unlock()
	if taken && other != name && !g.claim.RenamedFrom(other) {
		return record{}, g.claim.RefuseAlias(other)
	}
	seen, err := l.effects.orphans(ctx, name)
	switch {
	case err != nil:
		return record{}, notNow(err)
	case len(seen) == 0:
		return record{}, nil
	case !g.claim.FirstStart:
		return record{}, g.claim.RefuseOrphans()
	}
	// The operator declared that this is the complete log so far.
	last := seen[len(seen)-1].Sequence
	adopted := record{checkpoint: connector.Checkpoint{Certified: last}}
	adopted.adopt(seen)
	return adopted, nil
}

// take records a takeover and makes g the owner. Of two streams with the same list only one succeeds. A checkpoint that
// was renamed is not in force, so it is no second stream.
func (l *StateStore) take(g *stateLog, p *streamState, next record) error {
	name, key := g.claim.Stream.Name, g.claim.Stream.SourceKey
	l.mu.Lock()
	defer l.mu.Unlock()
	other, taken := l.nameOf(g.claim.Stream)
	renamed := next.checkpoint.RenamedTo != ""
	if taken && other != name && !renamed && !g.claim.RenamedFrom(other) {
		return g.claim.RefuseAlias(other)
	}
	if l.folder != nil {
		if _, err := l.folder.save(name, next, g.claim.TypePrefix); err != nil {
			p.loaded = false
			return notNow(err) // a takeover that may have happened does no harm: the next one has a higher epoch
		}
	}
	if !taken || !renamed {
		l.names[key] = name
	}
	p.record, p.found, p.loaded, p.holder = next, true, true, g
	p.standing.Raise(next.checkpoint)
	return nil
}

// forbidden turns a permanent error into a refusal: this user, or nobody, may write there.
func (l *StateStore) forbidden(err error) error {
	var refusal *connector.Refusal
	if l.folder == nil || errors.As(err, &refusal) || !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EROFS) {
		return err
	}
	dir := filepath.Dir(l.folder.dir)
	return &connector.Refusal{
		Thing: "folder " + dir, Cause: "it cannot be written to: " + plain(err).Error(),
		Hint: "give this user the right to write there, mount it writable, or set another path",
	}
}

// nameOf is the name under which the list of a stream is held; the caller holds l.mu.
func (l *StateStore) nameOf(s connector.Stream) (name string, taken bool) {
	if name, taken = l.names[s.SourceKey]; !taken && s.FormerKey != "" {
		name, taken = l.names[s.FormerKey]
	}
	return name, taken
}

// notNow marks an error after which nothing was written, unless it needs a person.
func notNow(err error) error {
	var refusal *connector.Refusal
	if errors.As(err, &refusal) || errors.Is(err, errClosed) {
		return err
	}
	return fmt.Errorf("%w: %w", connector.ErrNotNow, err)
}

func (g *stateLog) Commit(
	ctx context.Context, events []connector.Event, rejects []connector.Reject, next connector.Checkpoint,
) error {
	err := g.commit(ctx, events, rejects, next)
	var rejected *connector.Rejected
	var refusal *connector.Refusal
	switch {
	case err == nil:
		return nil
	case errors.As(err, &rejected), errors.As(err, &refusal), errors.Is(err, connector.ErrFenced):
		return err
	case errors.Is(err, connector.ErrNotNow):
	case g.state == owned:
		g.state = unclear
	}
	return fmt.Errorf("commit: %w", err)
}

var errFolderLost = errors.New("the folder of checkpoints was removed or replaced")

var errAcquireFirst = errors.New("the stream has to be acquired first")

func (g *stateLog) commit(
	ctx context.Context, events []connector.Event, rejects []connector.Reject, next connector.Checkpoint,
) error {
	l, name := g.store, g.claim.Stream.Name
	switch g.state {
	case closed:
		return errClosed
	case unowned, unclear:
		return errAcquireFirst
	}
	p, leave, err := l.enter(ctx, name)
	if err != nil {
		return fmt.Errorf("%w: %w", connector.ErrNotNow, err)
	}
	defer leave()
	l.mu.Lock()
	fenced, opened := p.holder != g, l.opened && !p.stale.Load()
	lost := l.folder != nil && l.folder.lost()
	l.mu.Unlock()
	switch {
	case fenced:
		return connector.ErrFenced
	case !opened:
		return errAcquireFirst // another stream's commit failed
	case lost:
		return errFolderLost
	}
	done, err := l.effects.write(ctx, g.claim, events, rejects)
	if err != nil {
		if !nothingWritten(err) {
			l.doubt(p)
		}
		return err
	}
	next.Sink = done.position
	next.Epoch, next.Owner = p.record.checkpoint.Epoch, p.record.checkpoint.Owner
	r := p.record.add(events, detach(next), g.claim.Window)
	if l.folder != nil {
		if inPlace, err := l.folder.save(name, r, g.claim.TypePrefix); err != nil {
			if inPlace || done.undo == nil {
				l.doubt(p)
				return err
			}
			if undone := done.undo(); undone != nil {
				l.doubt(p)
				return errors.Join(err, undone)
			}
			return fmt.Errorf("%w: %w", connector.ErrNotNow, err)
		}
	}
	p.record = r
	p.standing.Raise(next)
	return nil
}

func nothingWritten(err error) bool {
	var rejected *connector.Rejected
	var refusal *connector.Refusal
	return errors.Is(err, connector.ErrNotNow) || errors.As(err, &rejected) || errors.As(err, &refusal)
}

// doubt makes the next Acquire read the folder again.
func (l *StateStore) doubt(p *streamState) {
	if l.folder == nil {
		return
	}
	p.loaded = false
	if l.turn != nil {
		l.mu.Lock()
		l.opened = false
		l.mu.Unlock()
	}
}
