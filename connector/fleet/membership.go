package fleet

import (
	"slices"
	"strings"
	"time"
)

// trust is how long a member that was heard counts although a list does not show it, as the list may be older. It is
// shorter than Lifetime, so that who is gone is noticed when its announcement expires.
const trust = 2 * Round

// patience is how long a replica has to be refused until it does without the others. By then they no longer count on
// it, nor on anyone else who was refused as long.
const patience = Lifetime

// membership decides on whom a replica counts, from what it announced, listed and heard. Every time that it is given
// has a monotonic clock, and later calls have later times.
type membership struct {
	self string
	// acknowledged is when the newest call began that says that the board has this replica's announcement.
	acknowledged time.Time
	// joined is when the board acknowledged the first announcement, or the first one after an absence.
	joined time.Time
	phase  phase
	// returns says that this replica was absent, so that the others may be absent as well and come back within a round.
	returns bool
	// refusedSince is when the board first refused what it has refused since; zero if it refuses nothing.
	refusedSince time.Time
	// refuses says that the board answers, and that the answer is the refusal.
	refuses bool
	// alone says that this replica owns everything until it takes its share again, as it was refused for too long.
	alone bool
	// since is when this replica began to count on itself.
	since  time.Time
	others map[string]*other
	// edition counts the changes of the view.
	edition int
	// doubted are members that are gone although a list may still show them, and until when that says nothing.
	doubted map[string]time.Time
}

// phase is how far a replica is in taking part.
type phase int

const (
	unknown phase = iota // it does not know yet who is there
	waiting              // others are there, which have to notice it first
	taking               // it owns its share
)

// other is a member that is not this replica.
type other struct {
	since time.Time
	heard time.Time // when it was last heard; zero if it was only listed
}

func newMembership(self string) *membership {
	return &membership{self: self, others: map[string]*other{}, doubted: map[string]time.Time{}}
}

// absent reports whether the others may have stopped counting on this replica, as far as it knows.
func (m *membership) absent(now time.Time) bool { return now.Sub(m.acknowledged) >= Lifetime }

// announced records that the board has this replica's announcement, as a call says that began at that time.
func (m *membership) announced(begun, now time.Time) {
	if now.Sub(begun) >= Lifetime {
		return // the process was stopped meanwhile, so the announcement may have expired
	}
	if m.absent(now) {
		m.returns = m.alone || !m.acknowledged.IsZero()
		m.joined = now
	}
	m.acknowledged, m.refusedSince, m.refuses = begun, time.Time{}, false
}

// refused records that the board answered that this replica may not take part, which it did before. Nobody can know of
// those who are refused as well whether they are there, so who is refused for long owns everything.
func (m *membership) refused(now time.Time) {
	if m.refuses = true; m.refusedSince.IsZero() {
		m.refusedSince = now
	}
	m.tick(now)
}

// unanswered records that nothing came back on an announcement. Who cannot reach the board takes nothing over.
func (m *membership) unanswered() { m.refuses = false }

// heard records that a member announced itself, or left. It reports whether this replica has to announce itself again,
// because another one took it for a ghost.
func (m *membership) heard(id string, leaves bool, now time.Time) (again bool) {
	switch {
	case id == m.self:
		return leaves
	case !leaves && m.absent(now): // it may be old: what came in while this process was stopped is heard late
		m.add(id, now)
	case !leaves:
		delete(m.doubted, id)
		m.add(id, now).heard = now
	case m.absent(now): // the others do not count on this replica any more, so it takes nothing over
		if o := m.others[id]; o != nil {
			o.heard = time.Time{}
		}
	default:
		m.remove(id)
		m.doubted[id] = now.Add(Lifetime)
	}
	return false
}

func (m *membership) add(id string, now time.Time) *other {
	if m.others[id] == nil {
		m.others[id] = &other{since: now}
		m.edition++
	}
	return m.others[id]
}

func (m *membership) remove(id string) {
	if m.others[id] != nil {
		delete(m.others, id)
		m.edition++
	}
}

func (m *membership) enter(p phase) {
	m.phase = p
	m.edition++
}

// listed records a list that began after the last announcement was acknowledged. It returns the ghosts: members with
// this replica's label that can only be its predecessors, to be withdrawn.
func (m *membership) listed(ids []string, begun, now time.Time) (ghosts []string) {
	if slices.Contains(ids, m.self) && !m.refuses {
		m.announced(begun, now) // the answer to the announcement may have been lost
	}
	if m.absent(now) {
		return nil // it cannot write, and keeps the view it has
	}
	if m.returns && m.phase == taking && (len(m.others) > 0 || m.finds(ids)) {
		m.enter(unknown)
	}
	for id, o := range m.others {
		if !slices.Contains(ids, id) && now.Sub(o.heard) >= trust {
			m.remove(id)
		}
	}
	for _, id := range ids {
		if _, known := m.others[id]; known || id == m.self {
			continue
		}
		until, doubted := m.doubted[id]
		if !doubted && labelOf(id) != "" && labelOf(id) == labelOf(m.self) {
			until, doubted = now.Add(Lifetime+Round), true
			m.doubted[id] = until
			ghosts = append(ghosts, id)
		}
		if !doubted || now.After(until) {
			m.add(id, now)
		}
	}
	for id, until := range m.doubted {
		if now.After(until) && !slices.Contains(ids, id) {
			delete(m.doubted, id)
		}
	}
	if m.phase == unknown {
		m.enter(waiting)
		if len(m.others) == 0 && !m.returns {
			m.take(now)
		}
	}
	m.returns = false
	m.tick(now)
	return ghosts
}

// finds reports whether a list shows anyone but this replica.
func (m *membership) finds(ids []string) bool {
	return slices.ContainsFunc(ids, func(id string) bool { return id != m.self })
}

// due is how long it takes until tick has something to do, and whether it will.
func (m *membership) due(now time.Time) (left time.Duration, waits bool) {
	if m.phase == waiting {
		left = m.joined.Add(Round).Sub(now)
	}
	if until := m.refusedSince.Add(patience).Sub(now); m.refuses && until > 0 && (left <= 0 || until < left) {
		left = until
	}
	return left, left > 0
}

// tick ends the wait of a newcomer once the others have had a round to notice it, and the patience of who is refused.
func (m *membership) tick(now time.Time) {
	if m.refuses && now.Sub(m.refusedSince) >= patience && (!m.alone || m.phase != unknown) {
		m.alone, m.acknowledged, m.since = true, time.Time{}, now
		m.enter(unknown)
	}
	if m.phase == waiting && !m.absent(now) && now.Sub(m.joined) >= Round {
		m.take(now)
	}
}

func (m *membership) take(now time.Time) {
	m.since, m.alone = now, false
	m.enter(taking)
}

// view is on whom the replica counts, and whether it knows that yet.
func (m *membership) view() (view View, known bool) {
	if m.alone {
		return Alone(m.self, m.since), true
	}
	if m.phase != taking {
		return View{Self: m.self}, m.phase == waiting
	}
	members := []Member{{ID: m.self, Since: m.since}}
	for id, o := range m.others {
		members = append(members, Member{ID: id, Since: o.since})
	}
	slices.SortFunc(members, func(a, b Member) int { return strings.Compare(a.ID, b.ID) })
	return View{Self: m.self, Members: members}, true
}
