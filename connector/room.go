package connector

import (
	"context"
	"sync/atomic"
)

const (
	// shortWalk is the most pages that a walk of the cheaper kind holds.
	shortWalk = 5
	// roomShort and roomLong are how many walks of each kind may be under way. A long one holds up to a slice, and where no other
	// waits for its place, the next slice too.
	roomShort, roomLong = 16, 3
)

// Room bounds what all streams of a process hold of their lists in memory, however many of them catch up at once. A poll whose
// news all stand on page 0 needs no place in it, so it never waits for others that catch up. A short walk needs a place
// of one kind, a longer one a place of the other, so that a burst does not wait for backlogs. A place is for one walk, and who
// waits first comes first, so backlogs take turns.
//
// Nobody waits for ever. Who waits for a place holds none, and no page: its step was given up. Who holds one waits for nothing that
// needs a place: for the rate limit, a free request, the API and the sink. A list whose pages keep failing gives its place up
// where others wait. A sink that takes nothing stops them all, as it should.
type Room struct {
	short, long chan struct{} // a token in them for each place that is taken; senders are served in order
	waiting     [longPlace + 1]atomic.Int32
}

// NewRoom makes a room, to be shared by all Pollers of the process.
func NewRoom() *Room {
	return &Room{short: make(chan struct{}, roomShort), long: make(chan struct{}, roomLong)}
}

// roomPlace is a kind of place in the room, or none.
type roomPlace int32

const (
	noPlace roomPlace = iota
	shortPlace
	longPlace
)

func (r *Room) places(kind roomPlace) chan struct{} {
	if kind == longPlace {
		return r.long
	}
	return r.short
}

// berth is a stream's place in the room, or none. One goroutine uses it; only has and contended are for others too.
type berth struct {
	room  *Room        // nil has room for everything
	kind  atomic.Int32 // a roomPlace: what it has
	wants roomPlace    // what the next walk needs, as far as is known
}

func (b *berth) has() roomPlace { return roomPlace(b.kind.Load()) }

// Hold implements Allowance: it takes what is needed if it is free.
func (b *berth) Hold(pages int) error {
	kind := noPlace
	switch {
	case pages > shortWalk:
		kind = longPlace
	case pages > 1:
		kind = shortPlace
	}
	if b.room == nil || b.has() >= kind {
		return nil
	}
	b.wants = kind
	select {
	case b.room.places(kind) <- struct{}{}:
		b.leave()
		b.kind.Store(int32(kind))
		return nil
	default:
		return ErrNoRoom
	}
}

// Ahead implements Allowance.
func (b *berth) Ahead() bool {
	return b.room == nil || b.has() == longPlace && b.room.waiting[longPlace].Load() == 0
}

// wait takes the place that the next walk needs. It calls blocked before it has to wait, and returns false where the context ended.
func (b *berth) wait(ctx context.Context, blocked func()) bool {
	if b.room == nil || b.has() >= b.wants {
		return true
	}
	b.leave()
	places := b.room.places(b.wants)
	select {
	case places <- struct{}{}:
		b.kind.Store(int32(b.wants))
		return true
	default:
	}
	blocked()
	b.room.waiting[b.wants].Add(1)
	defer b.room.waiting[b.wants].Add(-1)
	select {
	case places <- struct{}{}:
		b.kind.Store(int32(b.wants))
		return true
	case <-ctx.Done():
		return false
	}
}

// leave gives the place up, if there is one.
func (b *berth) leave() {
	if had := roomPlace(b.kind.Swap(int32(noPlace))); had != noPlace {
		<-b.room.places(had)
	}
}

// contended says whether others are kept waiting by this stream.
func (b *berth) contended() bool {
	has := b.has()
	return has != noPlace && b.room.waiting[has].Load() > 0
}
