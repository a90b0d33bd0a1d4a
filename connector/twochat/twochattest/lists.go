package twochattest

import (
	"fmt"
	"sync"
	"time"
)

// lists holds the lists of a Fake's numbers. mu is the Fake's.
type lists struct {
	mu      *sync.Mutex
	options Options
	numbers map[string]*list
	drift   Drift
}

// number returns the list of a number that a caller of the package named.
func (f *lists) number(name string) *list {
	if name == "" {
		name = f.options.Numbers[0]
	}
	n, found := f.numbers[name]
	if !found {
		panic(fmt.Sprintf("twochattest: the fake has no number %q", name))
	}
	return n
}

// SetDrift changes how the lists move.
func (f *lists) SetDrift(d Drift) {
	d.setDefaults()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drift = d
}

// do changes a number's list and returns the uuids concerned.
func (f *lists) do(number string, change func(n *list, at int64) []uint32) []string {
	at := f.options.Now().Unix()
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.number(number)
	indexes := change(n, at)
	uuids := make([]string, len(indexes))
	for i, index := range indexes {
		uuids[i] = n.uuid(index)
	}
	return uuids
}

// Move lets a list drift as it does before each request, even while the Fake is quiet.
func (f *lists) Move(number string) {
	now := f.options.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.number(number).move(&f.drift, f.options.PageSize, now)
}

// Insert puts count good messages on top of a list at once, with the current time, and returns their uuids, oldest
// first. A few hundred are a burst; a multiple of the page size is the most treacherous one.
func (f *lists) Insert(number string, count int) []string {
	return f.do(number, func(n *list, at int64) []uint32 {
		indexes := make([]uint32, count)
		for i := range indexes {
			indexes[i] = n.add(0, at, 0, 0)
		}
		return indexes
	})
}

// History puts count messages on top of a list with times in the past, Options.HistoryStep apart. It costs about 32
// bytes each.
func (f *lists) History(number string, count int) {
	f.do(number, func(n *list, at int64) []uint32 {
		n.history(count, time.Unix(at, 0), f.options.HistoryStep)
		return nil
	})
}

// Late puts a message below the top of a list, with depth messages above it.
func (f *lists) Late(number string, depth int) string {
	return f.do(number, func(n *list, _ int64) []uint32 { return []uint32{n.late(depth)} })[0]
}

// Backdated puts a message on top of a list with the time of an older one.
func (f *lists) Backdated(number string) string {
	return f.do(number, func(n *list, at int64) []uint32 { return []uint32{n.backdated(at)} })[0]
}

// Skeleton puts a message without content on top of a list. An Edit completes it.
func (f *lists) Skeleton(number string) string {
	return f.do(number, func(n *list, at int64) []uint32 { return []uint32{n.add(0, at, flagSkeleton, 0)} })[0]
}

// Hide puts count rows on top of a list that take a place and are never shown.
func (f *lists) Hide(number string, count int) {
	f.do(number, func(n *list, at int64) []uint32 {
		for range count {
			n.add(0, at, flagHidden, 0)
		}
		return nil
	})
}

// Poison puts an item on top of a list that cannot become an event.
func (f *lists) Poison(number string, kind Poison) {
	poison := poisonNumber(kind)
	f.do(number, func(n *list, at int64) []uint32 {
		n.add(0, at, 0, poison)
		return nil
	})
}

// Delete removes the message at a position from the top (0 is the newest) from a list. It returns the message's uuid,
// or "" if there is none.
func (f *lists) Delete(number string, position int) string {
	uuids := f.do(number, func(n *list, _ int64) []uint32 {
		if position >= len(n.listed) {
			return nil
		}
		return []uint32{n.remove(position)}
	})
	return first(uuids)
}

// Edit changes the content of the message at a position under its uuid, or completes a skeleton. It returns the uuid,
// or "" if the message has no content that could change.
func (f *lists) Edit(number string, position int) string {
	uuids := f.do(number, func(n *list, _ int64) []uint32 {
		if position >= len(n.listed) {
			return nil
		}
		if index, changed := n.edit(position); changed {
			return []uint32{index}
		}
		return nil
	})
	return first(uuids)
}

// Twice lists the message at a position a second time, permanently, gap places further down.
func (f *lists) Twice(number string, position, gap int) string {
	uuids := f.do(number, func(n *list, _ int64) []uint32 {
		if position >= len(n.listed) {
			return nil
		}
		return []uint32{n.twice(position, gap)}
	})
	return first(uuids)
}

// Clear empties a list.
func (f *lists) Clear(number string) {
	f.do(number, func(n *list, _ int64) []uint32 {
		n.clear()
		return nil
	})
}

// Replace replaces a list by another one of count messages, the first hundred of them not newer than what was listed
// before, as for a number that was connected again.
func (f *lists) Replace(number string, count int) {
	f.do(number, func(n *list, at int64) []uint32 {
		n.replace(count, at)
		return nil
	})
}

func first(uuids []string) string {
	if len(uuids) == 0 {
		return ""
	}
	return uuids[0]
}
