package fleet

import (
	"context"
	"slices"
	"sync"
	"time"
)

// memoryBoard is a board in memory. Its members are those of one test, each with a place of its own.
type memoryBoard struct {
	mu        sync.Mutex
	until     map[string]time.Time
	listeners map[int]func(id string, leaves bool)
	next      int
}

func newMemoryBoard() *memoryBoard {
	return &memoryBoard{until: map[string]time.Time{}, listeners: map[int]func(string, bool){}}
}

func (b *memoryBoard) record(id string, leaves bool) {
	b.mu.Lock()
	if b.until[id] = time.Now().Add(Lifetime); leaves {
		delete(b.until, id)
	}
	listeners := []func(string, bool){}
	for _, heard := range b.listeners {
		listeners = append(listeners, heard)
	}
	b.mu.Unlock()
	for _, heard := range listeners {
		heard(id, leaves)
	}
}

func (b *memoryBoard) list() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ids []string
	for id, until := range b.until {
		if time.Now().Before(until) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (b *memoryBoard) listen(heard func(id string, leaves bool)) (end func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++
	place := b.next
	b.listeners[place] = heard
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.listeners, place)
	}
}

// access is how one member reaches the board. A fault makes its calls fail.
type access struct {
	board *memoryBoard
	mu    sync.Mutex
	fault map[operation]error
	slow  time.Duration
	ended func() // ends the hearing under way
}

func newAccess(b *memoryBoard) *access { return &access{board: b, fault: map[operation]error{}} }

// set has an operation fail from now on, or work if the error is nil.
func (a *access) set(o operation, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fault[o] = err; o == hearing && err != nil && a.ended != nil {
		a.ended()
	}
}

func (a *access) failure(ctx context.Context, o operation) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	a.mu.Lock()
	err, slow := a.fault[o], a.slow
	a.mu.Unlock()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

func (a *access) AnnounceMember(ctx context.Context, id string) error {
	if err := a.failure(ctx, announcing); err != nil {
		return err
	}
	a.board.record(id, false)
	return nil
}

func (a *access) WithdrawMember(ctx context.Context, id string) error {
	if err := a.failure(ctx, announcing); err != nil {
		return err
	}
	a.board.record(id, true)
	return nil
}

func (a *access) ListMembers(ctx context.Context) ([]string, error) {
	if err := a.failure(ctx, listing); err != nil {
		return nil, err
	}
	return a.board.list(), nil
}

func (a *access) HearMembers(ctx context.Context, heard func(id string, leaves bool)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a.mu.Lock()
	err := a.fault[hearing]
	a.ended = cancel
	a.mu.Unlock()
	if err != nil {
		return err
	}
	defer a.board.listen(heard)()
	<-ctx.Done()
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.fault[hearing]
}
