package reader

import (
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// progress is where in the list the next walk begins, and what it may certify (rule 5).
type progress struct {
	rules Rules
	known *known

	start    int // page at which walks begin; above 0 only in a deep backlog
	slice    int // pages that a walk may hold; fewer than Rules.SlicePages if pages are large
	previous *certificate
	// careful: a search led below ground; the next one uses steps that cannot jump over the known messages.
	careful bool
	// minGroundRun is the length of the run of ground that a careful search led to, if it is shorter than what ends a
	// walk; else 0.
	minGroundRun int
	// searched: the list was searched for its end, as there was no ground.
	searched bool
	// fromTop: the last walk began at page 0.
	fromTop bool
	starts  int            // how many times the first start was repeated
	top     connector.Keys // the newest rows of the page 0 after which there was nothing to do
}

// certificate is a walk that the next one may certify: the messages that it saw above ground, newest first, and the
// sequence up to which everything becomes ground if the next walk agrees.
type certificate struct {
	above     []connector.Key
	certifies uint64
}

// advance updates progress after a walk was delivered. alone means that the walk certified itself from page 0; agreed
// that it certified the walk before or its own messages. step is how many pages a proven walk of a deep backlog moves
// up; rows are what the walk left to be certified. It reports whether progress moved up by step.
func (p *progress) advance(w *walked, alone, agreed bool, step int, rows []row) bool {
	switch {
	case w.gapDoubted:
		p.previous = nil
	case alone:
		p.previous, p.careful, p.minGroundRun, p.known.groundless, p.slice = nil, false, 0, false, p.rules.SlicePages
	case agreed:
		p.careful, p.minGroundRun, p.known.groundless = false, 0, false
		if p.start > 0 && w.proven {
			p.start, p.previous = max(0, p.start-step), nil
			return true
		}
		if p.start > 0 {
			p.start, p.previous = p.upward(), nil
			break
		}
		p.slice = p.rules.SlicePages
		p.remember(rows)
	case w.movedUp:
		p.previous = nil
	default:
		p.remember(rows)
	}
	return false
}

// upward is the page at which the next walk of a deep backlog begins.
func (p *progress) upward() int { return max(0, p.start-max(1, p.slice/2)) }

// agrees reports whether this walk certifies the one before: it misses nothing that the other saw, and shows nothing
// new below the other's first message, or nothing new at all if none of the other's messages is listed any more.
func (p *progress) agrees(order []found, b delivery) bool {
	here := make(map[connector.Key]int, len(order))
	for i := range order {
		here[order[i].Key] = i
	}
	for _, key := range p.previous.above {
		if _, ok := here[key]; !ok {
			return false
		}
	}
	top := 0
	if len(p.previous.above) > 0 {
		top = here[p.previous.above[0]]
	}
	return !b.below(here, top)
}

// row is what is kept of a message after its walk was delivered.
type row struct {
	key  connector.Key
	time time.Time
}

func rowsOf(order []found) []row {
	rows := make([]row, len(order))
	for i := range order {
		rows[i] = row{order[i].Key, order[i].Time}
	}
	return rows
}

func keysIn(order []found) []connector.Key {
	keys := make([]connector.Key, len(order))
	for i := range order {
		keys[i] = order[i].Key
	}
	return keys
}

// remember keeps a walk for the next one to certify. After a walk from page 0 the next one may certify the whole log.
// After a walk from further down it may certify the log up to the newest event delivered in order that the walk met, as
// events of an earlier walk may be above that.
func (p *progress) remember(rows []row) {
	var above []connector.Key
	var certifies uint64
	for i := range rows {
		key := rows[i].key
		if at, ok := p.known.window.position(key); ok && at.sequence() > p.known.window.certified {
			above = append(above, key)
			if at.late() {
				continue
			}
			p.known.times.learn(at.sequence(), rows[i].time)
			if certifies == 0 {
				certifies = at.sequence()
			}
		}
	}
	switch {
	case p.start == 0 && p.known.window.certified == p.known.window.last:
		p.previous, p.known.groundless = nil, false
	case p.start == 0:
		p.previous = &certificate{above, p.known.window.last}
	case len(above) > 0:
		p.previous = &certificate{above, certifies}
	default: // everything here is ground: go on upward
		p.start, p.previous = p.upward(), nil
	}
}
