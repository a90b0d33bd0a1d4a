package twochattest

import "time"

// Drift configures how a list moves. Each rate is the chance that it happens before a request of that list, from 0 to
// 1. The zero Drift is a list that does not change.
type Drift struct {
	// Inserts puts 1 to 4 messages on top.
	Inserts float64
	// Bursts puts many on top at once: half of the time BurstMin to BurstMax (default 20 to 300) of them, half of the time
	// exactly 1 to BurstPages pages (default 6), which show no repeat on the next page.
	Bursts                         float64
	BurstMin, BurstMax, BurstPages int
	// Late puts one 1 to LateDepth (default 20) places below the top, with the time of its neighbour.
	Late      float64
	LateDepth int
	// Backdated puts one on top with the time of an older one, as from a phone that was offline.
	Backdated float64
	// Deletes removes one, or occasionally 2 to 8, from the newest DeleteDepth (default 400); never one that is younger
	// than DeleteAge requests of its list (default 60; below zero: any age).
	Deletes                float64
	DeleteDepth, DeleteAge int
	// Edits changes the text of one of the newest 200 under its uuid.
	Edits float64
	// Skeletons is the share of inserted messages that have no content at first; an edit completes them.
	Skeletons float64
	// Hidden is the share of inserted rows that take a place and are never shown, so that pages in mid-list are short.
	Hidden float64
	// Poison is the share of inserted messages that cannot become an event.
	Poison float64
	// Replaced replaces the whole list by another one, some of it older, as for a number that was connected again.
	Replaced float64
}

// LivelyDrift is a busy but ordinary number, for demos.
func LivelyDrift() Drift {
	return Drift{Inserts: .5, Bursts: .01, BurstMax: 150, BurstPages: 2, Late: .02, LateDepth: 5, Deletes: .01, Edits: .02}
}

// HostileDrift is as hard as the hardest world of the reading model: everything but a replaced list.
func HostileDrift() Drift {
	return Drift{
		Inserts: .8, Bursts: .03, Late: .1, Backdated: .02, Deletes: .05, DeleteDepth: 2000, Edits: .05,
		Skeletons: .02, Hidden: .01, Poison: .01,
	}
}

func (d *Drift) setDefaults() {
	fill := func(value *int, preset int) {
		if *value == 0 {
			*value = preset
		}
	}
	fill(&d.BurstMin, 20)
	fill(&d.BurstMax, 300)
	d.BurstMin = min(d.BurstMin, d.BurstMax)
	fill(&d.BurstPages, 6)
	fill(&d.LateDepth, 20)
	fill(&d.DeleteDepth, 400)
	fill(&d.DeleteAge, 60)
}

// insert puts a message on top; the drift's shares decide of which kind.
func (n *list) insert(d *Drift, at int64) uint32 {
	var with flags
	var poison uint8
	switch p := n.rng.Float64(); {
	case p < d.Skeletons:
		with = flagSkeleton
	case p < d.Skeletons+d.Hidden:
		with = flagHidden
	case p < d.Skeletons+d.Hidden+d.Poison:
		poison = n.anyPoison()
	}
	return n.add(0, at, with, poison)
}

// anyPoison draws a kind of poison. The items of 1 MiB are rare, as each page that shows one is as large.
func (n *list) anyPoison() uint8 {
	if n.rng.IntN(20) == 0 {
		return poisonNumber(PoisonTooLarge)
	}
	return uint8(1 + n.rng.IntN(len(poisons)-2))
}

// move changes the list as happens before a request.
func (n *list) move(d *Drift, pageSize int, now time.Time) {
	rng, at := n.rng, now.Unix()
	happens := func(rate float64) bool { return rate > 0 && rng.Float64() < rate }
	if happens(d.Inserts) {
		for range 1 + rng.IntN(4) {
			n.insert(d, at)
		}
	}
	if happens(d.Bursts) {
		count := d.BurstMin + rng.IntN(d.BurstMax-d.BurstMin+1)
		if rng.IntN(2) == 0 {
			count = pageSize * (1 + rng.IntN(d.BurstPages))
		}
		for range count {
			n.insert(d, at)
		}
	}
	if happens(d.Late) {
		n.late(1 + rng.IntN(d.LateDepth))
	}
	if happens(d.Backdated) {
		n.backdated(at)
	}
	if happens(d.Replaced) {
		n.replace([...]int{0, 30, 300}[rng.IntN(3)], at)
	}
	if happens(d.Edits) && len(n.listed) > 0 {
		n.edit(rng.IntN(min(len(n.listed), 200)))
	}
	if happens(d.Deletes) {
		count := 1
		if rng.IntN(5) == 0 {
			count = 2 + rng.IntN(7)
		}
		for range count {
			if len(n.listed) == 0 {
				break
			}
			position := rng.IntN(min(len(n.listed), d.DeleteDepth))
			if n.requests-int(n.rows[n.at(position)].born) >= d.DeleteAge {
				n.remove(position)
			}
		}
	}
}

// backdated puts a message on top with the time of an older one.
func (n *list) backdated(at int64) uint32 {
	if len(n.listed) > 0 {
		at = n.rows[n.at(min(len(n.listed)-1, 1+n.rng.IntN(400)))].at
	}
	return n.add(0, at, flagBackdated, 0)
}
