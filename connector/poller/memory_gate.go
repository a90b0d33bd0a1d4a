package poller

import (
	"context"
	"sync/atomic"

	"github.com/twochat-connector/twochat-connector/connector/reader"
)

const (
	// shortWalk is the largest number of pages that a short walk holds.
	shortWalk = 5
	// shortSlots and longSlots are how many walks of each kind may be in progress. A long walk holds up to a slice and, if
	// no other waits for its slot, up to two of the next slices too. aheadSlots is how many next slices all of them may
	// hold together.
	shortSlots, longSlots, aheadSlots = 16, 3, 3
)

// MemoryGate bounds the memory for pages of all streams of a process, however many of them catch up at once. Beside it,
// reader/rules.go bounds the pages of one walk, reader/window.go what is remembered of a log (Rules.Capacity), and
// cli/memory.go sets Go's own limit. A poll that needs only page 0 needs no slot, so it never waits for streams that
// catch up. Short and long walks need slots of different kinds, so that a burst does not wait for backlogs. A slot is
// for one walk, and waiting streams are served in order, so backlogs take turns.
//
// Nobody waits forever. There is no deadlock: a stream that waits for a slot holds neither a slot nor pages, as its
// step was given up. A stream that holds one waits only for the rate limit, the API and the sink, none of which needs a
// slot. A list whose pages keep failing gives up its slot if others wait. A sink that takes nothing stops all streams,
// as intended.
type MemoryGate struct {
	short, long chan struct{} // each holds a token for each slot that is taken; senders are served in order
	ahead       chan struct{} // the same for each next slice that is held
	waiting     [longSlot + 1]atomic.Int32
}

// NewMemoryGate returns a memory gate, to be shared by all Pollers of the process.
func NewMemoryGate() *MemoryGate {
	return &MemoryGate{
		short: make(chan struct{}, shortSlots), long: make(chan struct{}, longSlots), ahead: make(chan struct{}, aheadSlots),
	}
}

// slotKind is a kind of slot, or none.
type slotKind int32

const (
	noSlot slotKind = iota
	shortSlot
	longSlot
)

func (r *MemoryGate) slots(kind slotKind) chan struct{} {
	if kind == longSlot {
		return r.long
	}
	return r.short
}

// slot is a stream's slot, or none. It is used by one goroutine; only has and contended are safe for concurrent use.
type slot struct {
	gate  *MemoryGate  // nil sets no bound
	kind  atomic.Int32 // a slotKind: the slot that it has
	wants slotKind     // the slot that the next walk needs, as far as is known
	ahead int          // next slices that it holds
}

func (b *slot) has() slotKind { return slotKind(b.kind.Load()) }

// Hold implements reader.MemoryLimit: it takes a slot of the kind needed if one is free.
func (b *slot) Hold(pages int) error {
	kind := noSlot
	switch {
	case pages > shortWalk:
		kind = longSlot
	case pages > 1:
		kind = shortSlot
	}
	if b.gate == nil || b.has() >= kind {
		return nil
	}
	b.wants = kind
	select {
	case b.gate.slots(kind) <- struct{}{}:
		b.leave()
		b.kind.Store(int32(kind))
		return nil
	default:
		return reader.ErrMemoryLimit
	}
}

// Ahead implements reader.MemoryLimit.
func (b *slot) Ahead(held, wanted int) int {
	if b.gate == nil {
		return max(held, wanted)
	}
	b.dropAhead(held)
	for b.ahead < wanted && b.has() == longSlot && b.gate.waiting[longSlot].Load() == 0 {
		select {
		case b.gate.ahead <- struct{}{}:
			b.ahead++
		default:
			return b.ahead
		}
	}
	return b.ahead
}

// dropAhead gives up next slices until no more than held remain.
func (b *slot) dropAhead(held int) {
	for ; b.ahead > held; b.ahead-- {
		<-b.gate.ahead
	}
}

// wait takes the slot that the next walk needs. It calls blocked before it has to wait, and returns false if the
// context ended.
func (b *slot) wait(ctx context.Context, blocked func()) bool {
	if b.gate == nil || b.has() >= b.wants {
		return true
	}
	b.leave()
	places := b.gate.slots(b.wants)
	select {
	case places <- struct{}{}:
		b.kind.Store(int32(b.wants))
		return true
	default:
	}
	blocked()
	b.gate.waiting[b.wants].Add(1)
	defer b.gate.waiting[b.wants].Add(-1)
	select {
	case places <- struct{}{}:
		b.kind.Store(int32(b.wants))
		return true
	case <-ctx.Done():
		return false
	}
}

// leave gives up the slot, if there is one.
func (b *slot) leave() {
	b.dropAhead(0)
	if had := slotKind(b.kind.Swap(int32(noSlot))); had != noSlot {
		<-b.gate.slots(had)
	}
}

// contended reports whether other streams wait for the kind of slot that this one holds.
func (b *slot) contended() bool {
	has := b.has()
	return has != noSlot && b.gate.waiting[has].Load() > 0
}
