package reader

import (
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// progress is where in the list a Reader is, and what the next walk may certify.
type progress struct {
	rules Rules
	known *known

	start    int // page at which walks begin; 0 but in a deep backlog
	slice    int // pages that a walk may hold, fewer than the rules say where pages are heavy
	previous *certificate
	// careful: a search for ground led below it; the next one goes in steps that cannot jump over what is known.
	careful bool
	// minGroundRun is all the ground in a row that a careful search led to, where that is less than ends a walk; else 0.
	minGroundRun int
	// searched: the list was searched for its end, for want of any ground.
	searched bool
	// fromTop: the last walk began at page 0.
	fromTop bool
	starts  int            // first starts made again
	top     connector.Keys // the newest rows of the page 0 that left nothing to do
}

// certificate is a walk that the next one may certify: what it saw that is delivered but not ground, newest first, and
// up to which sequence everything is ground if the next walk agrees.
type certificate struct {
	above     []connector.Key
	certifies uint64
}

// advance takes over what became of a walk that was delivered: what the next one certifies, and where it begins. alone
// says that the walk certified itself from page 0, agreed that it certified the one before or what it met; step is how
// many pages a proven walk of a deep backlog goes on by, and rows are what it left to be certified. It reports whether
// it went on so.
func (p *progress) advance(w *walked, alone, agreed bool, step int, rows []row) bool {
	switch {
	case w.hollow:
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

// upward is where the next walk of a deep backlog begins.
func (p *progress) upward() int { return max(0, p.start-max(1, p.slice/2)) }

// agrees says whether this walk certifies the one before: it misses nothing that the other saw, and shows nothing new
// below the other's first message (nothing new at all, where none of what the other delivered is listed any more).
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

// row is what is left of a message of a walk when it is delivered.
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

// remember keeps a walk for the next one to certify. From page 0 that is the whole log. From further down it is the log
// up to the newest event delivered in order that the walk met: above it, events of an earlier walk may lie.
func (p *progress) remember(rows []row) {
	var above []connector.Key
	var certifies uint64
	for i := range rows {
		key := rows[i].key
		if at, ok := p.known.window.place(key); ok && at.sequence() > p.known.window.certified {
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
	default: // all ground here: go on upward
		p.start, p.previous = p.upward(), nil
	}
}
