package connector

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// Reader reads one stream's list into its log. It is a state machine without a clock or a goroutine of its own: Poll and
// Sweep are single steps, and all that has to survive a crash is in the log's checkpoint. A Reader is used by one goroutine,
// and is thrown away after any error of the log: a new one begins where the next Acquire says.
type Reader struct {
	pages    Pages
	log      Log
	patience Patience
	stream   Stream
	rules    Rules
	events   EventSettings
	window   *window
	given    map[Key]uint64 // floor and horizon: known without a place in the log
	rejects  *recentKeys
	held     *recentKeys // counted as held already
	times    groundTimes
	recorded Checkpoint // the newest committed

	start    int // page at which walks begin; 0 but in a deep backlog
	slice    int // pages that a walk may hold, fewer than the rules say where pages are heavy
	previous *certificate
	// careful: a search for ground led below it; the next one goes in steps that cannot jump over what is known.
	careful bool
	// searched: the list was searched for its end, for want of any ground.
	searched bool
	// groundless: a careful search proved that the list shows no ground and nothing as old as it; all that it lists is new.
	groundless bool
	// word: the operator's, to deliver what would be held.
	word bool
	// accepting: what is held is to be delivered. Only what came into the log after acceptedFrom counts as ground then, so
	// that the list is read anew from its end.
	accepting    bool
	acceptedFrom uint64
	// fromTop: the last walk began at page 0.
	fromTop bool

	settled    Fingerprint // of the page 0 that left nothing to do
	emptyPolls int
	end        provenEnd
	repeat     Key // the message that stood out of place in the last walks
	repeats    int
	ignored    map[Key]struct{} // listed twice for good
	crew       Crew
	restless   int // walks for which the list is not expected to stand still
	moves      int // groups in a row that did not
	ahead      *ahead
	movedUps   int // walks in a row whose first message stood too high afterwards
}

// certificate is a walk that the next one may certify: what it saw that is delivered but not ground, newest first, and up
// to which sequence everything is ground if the next walk agrees.
type certificate struct {
	above     []Key
	certifies uint64
}

// provenEnd is the page at which the list was proven to end, valid while page 0 stays as it was.
type provenEnd struct {
	number int
	page0  Fingerprint
}

// Patience says what a Reader does when something does not work now. Both calls block for as long as it is worth waiting,
// and return nil to have the same tried again, or an error to give up the step.
type Patience interface {
	// Page: a page could not be read.
	Page(ctx context.Context, fault *PageError) error
	// Commit: the log took nothing now (ErrNotNow).
	Commit(ctx context.Context, cause error) error
}

// Reading is what a Reader needs to know beside its two interfaces.
type Reading struct {
	Patience Patience
	Stream   Stream
	Rules    Rules
	Events   EventSettings
	// Crew reads pages side by side; nil reads them one after the other.
	Crew Crew
	// AcceptHistory delivers once what is held because all ground is gone (rule 8).
	AcceptHistory bool
}

// NewReader makes a reader that goes on from what Acquire returned.
func NewReader(pages Pages, log Log, reading Reading, state State) *Reader {
	r := &Reader{
		pages: pages, log: log, patience: reading.Patience, crew: reading.Crew, stream: reading.Stream, rules: reading.Rules, events: reading.Events,
		word: reading.AcceptHistory, accepting: reading.AcceptHistory && len(state.Checkpoint.Horizon) > 0, acceptedFrom: state.Checkpoint.Sequence,
		window: newWindow(reading.Rules, state), recorded: state.Checkpoint, slice: reading.Rules.SlicePages,
		rejects: newRecentKeys(reading.Rules.Rejects, state.Checkpoint.Rejects), held: newRecentKeys(reading.Rules.Capacity, nil),
		times: groundTimes{base: state.Checkpoint.GroundTime},
	}
	r.give()
	return r
}

// give recomputes what is known without a place in the log: by key, the sequence up to which the log had no event
// that could be listed above it.
func (r *Reader) give() {
	r.given = make(map[Key]uint64, len(r.recorded.Floor)+len(r.recorded.Horizon))
	for _, key := range r.recorded.Floor {
		r.given[key] = 0
	}
	if r.accepting {
		return
	}
	for _, key := range r.recorded.Horizon {
		r.given[key] = r.recorded.HorizonAt
	}
}

// Outcome says what one step did.
type Outcome struct {
	Pages     int // read, repeats of failed ones not counted
	Delivered int // events, late ones included
	Late      int
	Rejected  int
	Held      int // met, but not delivered, as nothing tells whether they were forgotten
	// Proven: the pages stood still while they were read, so that the walk certified itself.
	Proven bool
	// Unchanged: page 0 was the one that had left nothing to do.
	Unchanged bool
	// Rested: all that was listed when the walk began is in the log and certified.
	Rested bool
	// Newest is the time of the newest message on page 0, where it has one.
	Newest time.Time
}

// add counts what a commit did.
func (o *Outcome) add(done Outcome) {
	o.Delivered += done.Delivered
	o.Late += done.Late
	o.Rejected += done.Rejected
}

// ErrMoved says that the list moved by a page or more in the middle of a walk. Nothing was concluded; walk again.
var ErrMoved = errors.New("the list moved by a page or more while it was read")

// ErrEmpty says that page 0 was empty, which counts only when it is so several polls in a row.
var ErrEmpty = errors.New("page 0 is empty")

// Poll makes one step: the first start, a walk with what it delivers, or a search for ground. Errors are those of Pages,
// ErrMoved, ErrEmpty (the reader is as it was: poll again) or those of Log.Commit (the reader is spent, but for ErrNotNow).
func (r *Reader) Poll(ctx context.Context, start Start) (Outcome, error) {
	if !r.recorded.Started {
		return r.firstStart(ctx, start)
	}
	var out Outcome
	var held Fingerprint
	if r.Rested() {
		held = r.settled
	}
	var first *Page
	if r.start == 0 {
		page, err := r.read(ctx, 0, held)
		if err != nil {
			return out, err
		}
		if held != "" && (page.Unchanged || page.Fingerprint == held) {
			return Outcome{Pages: 1, Unchanged: true, Rested: true}, nil
		}
		first = &page
		if len(page.Messages) > 0 {
			r.emptyPolls = 0
		}
		out.Newest = newestTime(page.Messages)
	}
	if r.crew != nil && first != nil && r.empty() && len(first.Messages) >= r.rules.Page && !r.searched {
		r.searched = true
		n, err := r.findStart(ctx)
		out.Pages = 1 + n
		return out, err
	}
	w, err := r.walk(ctx, first)
	out.Pages = w.pages
	switch {
	case errors.Is(err, errDeep):
		n, err := r.findStart(ctx)
		out.Pages += n
		return out, err
	case errors.Is(err, errGroundGone):
		n, err := r.newHorizon(ctx)
		out.Pages += n
		return out, err
	case err != nil:
		return out, err
	}
	return r.deliver(ctx, w, out)
}

// read reads one page, again as long as patience lasts.
func (r *Reader) read(ctx context.Context, number int, held Fingerprint) (Page, error) {
	for {
		page, err := r.pages.Page(ctx, r.stream, number, held)
		if err == nil {
			return page, nil
		}
		var fault *PageError
		if !errors.As(err, &fault) {
			return Page{}, fmt.Errorf("read page: %w", err)
		}
		if err := r.patience.Page(ctx, fault); err != nil {
			return Page{}, fmt.Errorf("read page: %w", err)
		}
	}
}

// Rested says whether everything that the last walk met is in the log and certified.
func (r *Reader) Rested() bool {
	return r.recorded.Started && r.fromTop && r.start == 0 && r.previous == nil && r.window.certified == r.window.last && !r.groundless
}

// Checkpoint is the newest one committed.
func (r *Reader) Checkpoint() Checkpoint { return r.recorded }

// Seen is the size of the seen window, and how many of its events are not certified.
func (r *Reader) Seen() (size int, uncertified uint64) {
	return len(r.window.entries), r.window.last - r.window.certified
}

// Start is the page at which the next walk begins; above 0 a deep backlog is being worked off.
func (r *Reader) Start() int { return r.start }

// deliver puts what is unknown in a walk into the log and certifies what may be certified.
func (r *Reader) deliver(ctx context.Context, w walked, out Outcome) (Outcome, error) {
	batch, held := r.sort(w.order)
	out.Held, out.Proven = held, w.proven
	alone := r.start == 0 && (w.taken == 1 || w.proven)
	var certified uint64
	agreed := false
	switch {
	case alone:
		certified = everything
	case w.proven:
		certified, agreed = r.provenUpTo(w.order, batch), true
	case r.previous != nil && !w.movedUp && r.agrees(w.order, batch):
		certified, agreed = r.previous.certifies, true
	}
	if w.horizon != nil {
		batch.horizon = w.horizon
	}
	if w.proven && r.start > 0 {
		r.readAhead(ctx, max(0, r.start-r.stillStep()))
	}
	done, err := r.commit(ctx, batch, certified)
	if err != nil {
		return out, err
	}
	out.add(done)
	r.fromTop = r.start == 0
	switch {
	case alone:
		r.previous, r.careful, r.groundless, r.slice = nil, false, false, r.rules.SlicePages
	case agreed:
		r.careful, r.groundless = false, false
		if r.start > 0 && w.proven {
			r.start, r.previous = max(0, r.start-r.stillStep()), nil
		} else if r.start > 0 {
			r.start, r.previous = r.upward(), nil
		} else {
			r.slice = r.rules.SlicePages
			r.remember(w.order)
		}
	case w.movedUp:
		r.previous = nil
	default:
		r.remember(w.order)
	}
	if r.Rested() {
		r.settled, out.Rested, r.accepting = w.page0, true, false
	}
	return out, nil
}

// upward is where the next walk of a deep backlog begins.
func (r *Reader) upward() int { return max(0, r.start-max(1, r.slice/2)) }

// sort splits a walk's messages into what is to be delivered, oldest first, and what is held. What lies above everything
// known is new. Below something known, a message is late where an event delivered in order lies below it and nothing newer
// than that event was forgotten or erased; it is new where the reader has forgotten nothing at all; else it is held.
func (r *Reader) sort(order []found) (batch, int) {
	below := make([]*Key, len(order))
	anchors := r.anchors(len(order), func(i int) Key { return order[i].Key })
	var anchor *Key
	for i := len(order) - 1; i >= 0; i-- {
		below[i] = anchor
		if anchors[i] {
			anchor = &order[i].Key
		}
	}
	var b batch
	held, late := 0, r.accepting || !r.nothingDeliveredAbove(order)
	for i := range order {
		switch f := &order[i]; {
		case r.known(f.Key):
			late = true
		case !late, below[i] != nil && r.wholeAbove(*below[i]), below[i] == nil && !r.forgetful():
			b.add(f, late)
		default:
			held += r.hold(f.Key)
		}
	}
	b.oldestFirst()
	return b, held
}

// hold counts a message as held, once.
func (r *Reader) hold(key Key) int {
	if !r.held.add(key) {
		return 0
	}
	r.recorded.Counters.Held++
	return 1
}

// provenUpTo is what a proven walk that began below page 0 certifies: the log up to the newest event delivered in order that
// it met or is about to deliver. Above that, events of an earlier walk may lie.
func (r *Reader) provenUpTo(order []found, b batch) uint64 {
	for i := len(b.events) - 1; i >= 0; i-- {
		if !b.events[i].late {
			return r.recorded.Sequence + uint64(i) + 1
		}
	}
	for i := range order {
		if at, ok := r.window.places[order[i].Key]; ok && !at.late() {
			return at.sequence()
		}
	}
	return 0
}

// nothingDeliveredAbove says whether what is unknown at the top of this walk is newer than everything in the log. A walk
// from page 0 sees it. Further down, delivered but uncertified events may lie above the start: not if the newest of them was
// met, nor if a page's worth of unknown messages lies above the first known one (it was deleted, then: no walk misses a
// whole page at one seam).
func (r *Reader) nothingDeliveredAbove(order []found) bool {
	newest, ok := r.window.newestInOrder()
	if r.start == 0 || !ok || newest.at.sequence() <= r.window.certified {
		return true
	}
	unknown, counting := 0, true
	for i := range order {
		if order[i].Key == newest.key {
			return true
		}
		if r.known(order[i].Key) {
			counting = false
		} else if counting {
			unknown++
		}
	}
	return unknown >= r.rules.Page
}

// agrees says whether this walk certifies the one before: it misses nothing that the other saw, and shows nothing new
// below the other's first message (nothing new at all, where none of what the other delivered is listed any more).
func (r *Reader) agrees(order []found, b batch) bool {
	here := make(map[Key]int, len(order))
	for i := range order {
		here[order[i].Key] = i
	}
	for _, key := range r.previous.above {
		if _, ok := here[key]; !ok {
			return false
		}
	}
	top := 0
	if len(r.previous.above) > 0 {
		top = here[r.previous.above[0]]
	}
	return !b.below(here, top)
}

// remember keeps a walk for the next one to certify. From page 0 that is the whole log. From further down it is the log up
// to the newest event delivered in order that the walk met: above it, events of an earlier walk may lie.
func (r *Reader) remember(order []found) {
	var above []Key
	var certifies uint64
	for i := range order {
		key := order[i].Key
		if at, ok := r.window.places[key]; ok && at.sequence() > r.window.certified {
			above = append(above, key)
			r.times.learn(at.sequence(), order[i].Time)
			if certifies == 0 && !at.late() {
				certifies = at.sequence()
			}
		}
	}
	switch {
	case r.start == 0 && r.window.certified == r.window.last:
		r.previous, r.groundless = nil, false
	case r.start == 0:
		r.previous = &certificate{above, r.window.last}
	case len(above) > 0:
		r.previous = &certificate{above, certifies}
	default: // all ground here: go on upward
		r.start, r.previous = r.upward(), nil
	}
}

// known says whether a message is in the seen window or given.
func (r *Reader) known(key Key) bool {
	if _, ok := r.window.places[key]; ok {
		return true
	}
	_, ok := r.given[key]
	return ok
}

// ground says whether a message is known at or below the certified sequence. What was given counts as long as the window
// holds all that came after: later, forgotten messages may stand above it.
func (r *Reader) ground(key Key) bool {
	if at, ok := r.window.places[key]; ok {
		return at.sequence() <= r.window.certified && (!r.accepting || at.sequence() > r.acceptedFrom)
	}
	return !r.accepting && r.givenHolds(key)
}

func (r *Reader) givenHolds(key Key) bool {
	at, ok := r.given[key]
	return ok && r.window.wholeAbove(at)
}

// inOrder says whether a known message was delivered in list order: what lies above it was never forgotten.
func (r *Reader) inOrder(key Key) bool {
	if at, ok := r.window.places[key]; ok {
		return !at.late()
	}
	return r.givenHolds(key)
}

// wholeAbove says whether the window holds every event newer than this known one: none was erased from the sink.
func (r *Reader) wholeAbove(key Key) bool {
	if at, ok := r.window.places[key]; ok {
		return r.window.hole <= at.sequence()
	}
	return r.givenHolds(key)
}

// anchors says which of some rows, newest first, show where the log was: events delivered in order, each older in the log
// than all such above it. One that is not is listed a second time, further down than its place.
func (r *Reader) anchors(rows int, key func(int) Key) []bool {
	anchors := make([]bool, rows)
	lowest := uint64(math.MaxUint64)
	for i := range rows {
		at, known := r.window.places[key(i)]
		sequence := at.sequence()
		if !known {
			sequence = r.given[key(i)]
		}
		if !r.inOrder(key(i)) || r.ignoring(key(i)) || sequence > lowest {
			continue
		}
		anchors[i], lowest = true, sequence
	}
	return anchors
}

// forgetful says whether the list may show messages that were delivered, or were not wanted, and are not known any more.
func (r *Reader) forgetful() bool {
	return !r.groundless && !r.accepting && (!r.window.whole() || len(r.given) > 0)
}

func newestTime(messages []Message) time.Time {
	for i := range messages {
		if !messages[i].Time.IsZero() {
			return messages[i].Time
		}
	}
	return time.Time{}
}

// Holding says whether a message was met and not delivered, as nothing tells whether it was delivered and forgotten.
func (r *Reader) Holding(key Key) bool { return r.held.has(key) }
