package reader

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

var (
	allOf   = flag.Int("changes", 2, "every placing of so many changes is tried; of more only some, drawn at random")
	samples = flag.Int("samples", 10_000,
		"how many placings are drawn of each number of changes beyond that, per puzzle and reader")
)

// most is the largest number of changes that are placed.
const most = 4

// change is one change of a list, right before one of its readings.
type change struct {
	before int  // which reading, counted from 1
	insert bool // otherwise a row is deleted
	row    int  // counted from 0 in the original list: the row to delete, or the one above which a message is added
}

func (c change) String() string {
	if c.insert {
		return fmt.Sprintf("one comes in above row %d before reading %d", c.row, c.before)
	}
	return fmt.Sprintf("row %d goes before reading %d", c.row, c.before)
}

// puzzle is a small list and the place where a walk of it begins: rows above the walk, new rows, and rows that are
// ground.
type puzzle struct {
	name                 string
	start, rose          int
	above, fresh, ground int
	between              int // pages that are read in parallel
	reach                int // changes are placed at rows above this one
	rules                Rules
	messages             []connector.Message // the rows from the top down, then those that are added
	state                connector.State
}

// puzzles are a batch of four pages in a deep backlog, and one of five pages from page 0. A page has two messages, and
// two ground messages end a walk.
func puzzles() []*puzzle {
	return []*puzzle{
		newPuzzle(puzzle{name: "deep", start: 2, above: 4, fresh: 5, ground: 7, between: 2, reach: 12}, 4),
		newPuzzle(puzzle{name: "from page 0", rose: 3, fresh: 6, ground: 6, between: 3, reach: 10}, 6),
	}
}

func newPuzzle(p puzzle, slicePages int) *puzzle {
	p.rules = small
	p.rules.Page, p.rules.SlicePages = 2, slicePages
	for n := range p.rows() + most {
		m := connectortest.Message(n)
		m.Data = nil
		p.messages = append(p.messages, m)
	}
	p.state.Checkpoint = connector.Checkpoint{Started: true, Sequence: uint64(p.ground), Certified: uint64(p.ground)}
	for n := p.rows() - 1; n >= p.above+p.fresh; n-- {
		p.state.Checkpoint.Tail = append(p.state.Checkpoint.Tail, p.messages[n].Key)
		p.state.Seen = append(p.state.Seen, connector.Seen{Key: p.messages[n].Key, Sequence: uint64(len(p.state.Seen) + 1)})
	}
	return &p
}

func (p *puzzle) rows() int { return p.above + p.fresh + p.ground }

// options are the changes that may follow after, before the readings up to last. Changes before the same reading have
// the same effect in any order, so only one order is tried.
func (p *puzzle) options(after change, last int) []change {
	var options []change
	for before := max(2, after.before); before <= last; before++ {
		for row := range p.reach {
			if row > 2 && row < p.above {
				continue // above the walk all rows are equivalent, and three are enough to delete
			}
			for _, insert := range []bool{true, false} {
				c := change{before, insert, row}
				if insert && row > 0 && row < p.above || before == after.before && c.rank() < after.rank() || !insert &&
					c == after {
					continue
				}
				options = append(options, c)
			}
		}
	}
	return options
}

func (c change) rank() int {
	if c.insert {
		return 2 * c.row
	}
	return 2*c.row + 1
}

// trial is one try of a puzzle: the real reader, the list with its changes, the log, and the order of parallel reads.
type trial struct {
	*puzzle
	order   []int // of parallel reads; nil reads two walks, one page after the other
	changes []change

	listed    []int // all that were ever listed, in the order of the list
	gone      uint64
	readings  int
	log       []int // delivered in order, oldest first
	late      uint64
	certified uint64
}

// Page returns a page of the list.
func (t *trial) Page(_ context.Context, _ connector.Stream, number int, _ connector.Fingerprint) (connector.Page,
	error,
) {
	t.readings++
	for _, c := range t.changes {
		switch {
		case c.before != t.readings:
		case c.insert:
			t.listed = slices.Insert(t.listed, slices.Index(t.listed, c.row), len(t.listed))
		default:
			t.gone |= 1 << c.row
		}
	}
	page := connector.Page{Number: number}
	var print []byte
	place := 0
	for _, n := range t.listed {
		if t.gone>>n&1 == 1 {
			continue
		}
		if place/t.rules.Page == number {
			page.Messages, print = append(page.Messages, t.messages[n]), append(print, byte(n))
		}
		place++
	}
	page.Fingerprint = connector.Fingerprint(print)
	return page, nil
}

// Each implements WorkerPool: one call after the other, in the order of the trial.
func (t *trial) Each(ctx context.Context, n int, do func(context.Context, int) error) error {
	for i := range max(n, len(t.order)) {
		if i < len(t.order) {
			i = t.order[i]
		}
		if i >= n {
			continue
		}
		if err := do(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// Go implements WorkerPool.
func (t *trial) Go(do func()) func() {
	do()
	return func() {}
}

// Acquire and the following methods are the log.
func (t *trial) Acquire(context.Context) (connector.State, error) { return t.state, nil }

func (t *trial) Peek(context.Context) (connector.Checkpoint, bool, error) {
	return connector.Checkpoint{}, false, nil
}

func (t *trial) Limits() connector.Limits { return connector.Limits{Messages: 1000, Bytes: 1 << 20} }
func (t *trial) Close() error             { return nil }

func (t *trial) Commit(_ context.Context, events []connector.Event, _ []connector.Reject,
	next connector.Checkpoint,
) error {
	for i := range events {
		n, err := strconv.Atoi(events[i].ID[1:])
		if err != nil {
			return err
		}
		if events[i].Late {
			t.late |= 1 << n
		}
		t.log = append(t.log, n)
	}
	t.certified = next.Certified
	return nil
}

// run walks once by batches, or twice in order, and reports whether what was delivered is certified.
func (t *trial) run() bool {
	for n := range t.rows() {
		t.listed = append(t.listed, n)
	}
	reading := Reading{
		Retry: connectortest.GiveUp{}, Stream: connector.Stream{Name: "a", SourceKey: "k"}, Rules: t.rules,
		Events: connector.EventSettings{TypePrefix: "p"},
	}
	walks := 2
	if t.order != nil {
		reading.Workers, reading.OneWalk, walks = t, true, 1
	}
	r := NewReader(t, t, reading, t.state)
	r.progress.start, r.prefetch.prevStart = t.start, t.rose
	for range walks {
		if _, err := r.Poll(context.Background(), connectortest.StartBeginning); err != nil {
			return false
		}
	}
	return t.certified > uint64(t.ground)
}

// hides reports whether a message that was listed all the time, in the certified part, is missing from the log, or the
// order is wrong.
func (t *trial) hides() bool {
	known, top, last := uint64(0), len(t.listed), len(t.listed)
	for n := t.above + t.fresh; n < t.rows(); n++ {
		known |= 1 << n
	}
	for i, n := range t.log {
		known |= 1 << n
		if t.late>>n&1 == 1 {
			continue
		}
		at := slices.Index(t.listed, n)
		if at > last {
			return true
		}
		last = at
		if uint64(t.ground+i+1) <= t.certified {
			top = at
		}
	}
	if t.start == 0 {
		top = 0
	}
	return slices.ContainsFunc(t.listed[top:], func(n int) bool { return n < t.rows() && (known|t.gone)>>n&1 == 0 })
}

// residue names the known cause for which such changes may hide a message (connector/README.md, What reading can still
// hide). It returns "" for a defect.
func (t *trial) residue() string {
	lates, deletes := 0, 0
	for _, c := range t.changes {
		switch {
		case !c.insert:
			deletes++
		case c.row > 0:
			lates++
		}
	}
	switch {
	case lates > 0 && deletes > 0:
		return "a late one and a delete"
	case deletes > 1:
		return "two deletes"
	}
	return ""
}

// placings counts the trials of one puzzle and reader by their number of changes.
type placings struct {
	mu                      sync.Mutex
	trials, certified, hide [most + 1]int
	named                   [most + 1]map[string]int
	unnamed                 []string
}

func (l *placings) add(t *trial) {
	certified := t.run()
	hides := certified && t.hides()
	l.mu.Lock()
	defer l.mu.Unlock()
	k := len(t.changes)
	l.trials[k]++
	if certified {
		l.certified[k]++
	}
	if !hides {
		return
	}
	l.hide[k]++
	if l.named[k] == nil {
		l.named[k] = map[string]int{}
	}
	residue := t.residue()
	l.named[k][residue]++
	if residue == "" {
		l.unnamed = append(l.unnamed, fmt.Sprintf("%s, in the order %v: %v; the log has %v", t.name, t.order, t.changes,
			t.log))
	}
}

// try runs every placing of up to allOf changes, and some with more.
func (p *puzzle) try(orders [][]int) *placings {
	l := &placings{}
	work := make(chan *trial)
	var batch sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		batch.Go(func() {
			for t := range work {
				p.extend(l, t)
			}
		})
	}
	readings := 0
	for _, order := range orders {
		t := &trial{puzzle: p, order: order}
		l.add(t)
		readings = t.readings
		for _, c := range p.options(change{}, t.readings) {
			work <- &trial{puzzle: p, order: order, changes: []change{c}}
		}
	}
	close(work)
	batch.Wait()
	p.sample(l, orders, readings)
	return l
}

// extend runs a trial and all with more changes. Changes after the last reading have no effect.
func (p *puzzle) extend(l *placings, t *trial) {
	l.add(t)
	if len(t.changes) >= *allOf {
		return
	}
	for _, c := range p.options(t.changes[len(t.changes)-1], t.readings) {
		p.extend(l, &trial{puzzle: p, order: t.order, changes: append(slices.Clone(t.changes), c)})
	}
}

// sample draws placings with more changes, of which there are too many to try all.
func (p *puzzle) sample(l *placings, orders [][]int, readings int) {
	var batch sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for worker := range workers {
		batch.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 5))
			for k := *allOf + 1; k <= most; k++ {
				for range *samples / workers {
					var changes []change
					for options := p.options(change{}, readings); len(changes) < k; {
						c := options[random.IntN(len(options))]
						if c.insert || !slices.ContainsFunc(changes, func(o change) bool { return !o.insert && o.row == c.row }) {
							changes = append(changes, c)
						}
					}
					l.add(&trial{puzzle: p, order: orders[random.IntN(len(orders))], changes: changes})
				}
			}
		})
	}
	batch.Wait()
}

// permutations returns all permutations of the numbers below n.
func permutations(n int) [][]int {
	if n == 0 {
		return [][]int{{}}
	}
	var all [][]int
	for _, shorter := range permutations(n - 1) {
		for at := range n {
			all = append(all, slices.Insert(slices.Clone(shorter), at, n-1))
		}
	}
	return all
}

// A batch of pages certifies a walk for less than a second walk. Both are tested with every placing of two changes
// between any two readings of a small list, with every order of parallel reads, and with some placings of more changes:
// what they certify misses nothing that was listed all the time, apart from their known limits.
//
//	go test ./connector/reader -run TestEveryPlacing -v              # the table
//	go test ./connector/reader -run TestEveryPlacing -v -changes 3   # ten minutes
func TestEveryPlacingOfAFewChanges(t *testing.T) {
	if testing.Short() {
		t.Skip("it only reckons, for minutes where the race detector looks on")
	}
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "list\tcertified by\tchanges\ttrials\tcertified\thide a message\tof these with")
	for _, p := range puzzles() {
		for _, by := range []struct {
			name   string
			orders [][]int
		}{{"batches", permutations(p.between)}, {"a second walk", [][]int{nil}}} {
			l := p.try(by.orders)
			for k := range most + 1 {
				drawn := ""
				if k > *allOf {
					drawn = " (drawn)"
				}
				fmt.Fprintf(w, "%s\t%s\t%d%s\t%d\t%d\t%d\t%v\n", p.name, by.name, k, drawn, l.trials[k], l.certified[k], l.hide[k],
					l.named[k])
				if k < 2 && l.hide[k] > 0 {
					t.Errorf("%s, certified by %s: %d changes hide a message", p.name, by.name, k)
				}
			}
			for _, sequence := range l.unnamed[:min(len(l.unnamed), 5)] {
				t.Errorf("certified by %s, hides a message: %s", by.name, sequence)
			}
			if l.certified[0] == 0 || l.certified[2] == 0 {
				t.Errorf("%s: %s certify nothing", p.name, by.name)
			}
		}
	}
	_ = w.Flush()
	t.Logf("\n%s", table.String())
}
