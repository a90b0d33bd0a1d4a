package reader

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Reader reads one stream's list into its log. It is a state machine without a clock or a goroutine of its own: Poll and
// Sweep are single steps, and all that has to survive a crash is in the log's checkpoint. A Reader is used by one goroutine,
// and is thrown away after any error of the log: a new one begins where the next Acquire says.
type Reader struct {
	pages   connector.Pages
	log     connector.Log
	retry   RetryPolicy
	turn    func(context.Context, Turn) error // nil: at once
	memory  MemoryLimit                       // nil: there is no bound
	stream  connector.Stream
	rules   Rules
	events  connector.EventSettings
	window  *window
	exempt  map[connector.Key]uint64 // floor and horizon: known without a place in the log
	rejects *recentKeys
	// quarantined is when the nameless rows of the last hour were read that polls at rest put into the quarantine.
	quarantined []time.Time
	held        *recentKeys // counted as held already
	times       groundTimes
	recorded    connector.Checkpoint // the newest committed, without what the window and rejects hold

	start     int // page at which walks begin; 0 but in a deep backlog
	prevStart int // page at which the proven walk before began, where the next one begins further up
	slice     int // pages that a walk may hold, fewer than the rules say where pages are heavy
	previous  *certificate
	// careful: a search for ground led below it; the next one goes in steps that cannot jump over what is known.
	careful bool
	// minGroundRun is all the ground in a row that a careful search led to, where that is less than ends a walk; else 0.
	minGroundRun int
	// searched: the list was searched for its end, for want of any ground.
	searched bool
	// sweeping is the sweep under way.
	sweeping sweeping
	// groundless: a careful search proved that the list shows no ground and nothing as old as it; all that it lists is new.
	groundless bool
	// acceptHistory: the operator's word, to deliver what is held, was given at the start; word: it was not carried out yet.
	acceptHistory, deliverHeld bool
	// asked: the list was searched for ground that the operator says is gone.
	asked bool
	// accept is the delivery of what is held, where it is under way; top are the newest rows of the page 0 that left nothing to do.
	accept accepting
	top    connector.Keys
	// fromTop: the last walk began at page 0.
	fromTop bool

	settled    connector.Fingerprint // of the page 0 that left nothing to do
	emptyPolls int
	end        provenEnd
	suspicion  suspicion
	deeper     bool
	starts     int // first starts made again
	look       looking
	topAt      time.Time // when page 0 was received last
	restedAt   time.Time // of a history: when it came to its end first
	looked     time.Time // when it was looked last whether the list goes on below the log
	hollows    int       // walks in a row that met an empty page in the middle
	// filtered: empty pages in the middle are believed, for one was so for long.
	filtered bool
	stalls   int // walks in a row that met the same page again and again
	// cleared: that the list shows no ground any more was believed, and nothing of what it shows now is ground yet.
	cleared          bool
	repeat           connector.Key // the message that stood out of place in the last walks
	repeats          int
	ignored          map[connector.Key]struct{} // listed twice for good
	workers          WorkerPool
	oneWalk          bool
	parallelCooldown int // walks for which batches of pages are not expected to hold
	failedBatches    int // batches in a row that did not
	ahead            *batchAhead
	batchesRead      int // read so far
	serialBatches    int // batches for which messages are expected to be added on top
	// chain holds what is not certified, and yet known to have nothing missing below it.
	chain map[connector.Key]uint64
	// gone is the newest event delivered in order that no page showed above the start of a walk which did not meet it.
	gone connector.Key
	// above is a page that showed, above the start of a walk, what this did not meet.
	above    int
	movedUps int // walks in a row whose first message stood too high afterwards
}

// certificate is a walk that the next one may certify: what it saw that is delivered but not ground, newest first, and up
// to which sequence everything is ground if the next walk agrees.
type certificate struct {
	above     []connector.Key
	certifies uint64
}

// provenEnd is the page at which the list was proven to end, valid while page 0 stays as it was.
type provenEnd struct {
	number int
	page0  connector.Fingerprint
}

// RetryPolicy says what a Reader does when something does not work now. Both calls block for as long as it is worth waiting,
// and return nil to have the same tried again, or an error to give up the step.
type RetryPolicy interface {
	// Page: a page could not be read.
	Page(ctx context.Context, fault *connector.PageError) error
	// Commit: the log took nothing now (ErrNotNow), refuses by name (a *Refusal), or left it unclear. After the latter two the log
	// is taken over anew first, and Commit is asked again where that fails.
	Commit(ctx context.Context, cause error) error
}

// Reading is what a Reader needs to know beside its two interfaces.
type Reading struct {
	Retry RetryPolicy
	// Turn blocks until a page may be asked for, each time it is asked for; nil: at once.
	Turn   func(context.Context, Turn) error
	Stream connector.Stream
	Rules  Rules
	Events connector.EventSettings
	// Memory says how many pages may be held; nil sets no bound but the rules'.
	Memory MemoryLimit
	// Workers reads pages side by side; nil reads them one after the other.
	Workers WorkerPool
	// OneWalk reads nothing for the next walk beside the one under way, as a History needs it.
	OneWalk bool
	// AcceptHistory delivers once what is held because all ground is gone (rule 8).
	AcceptHistory bool
}

// NewReader makes a reader that goes on from what Acquire returned.
func NewReader(pages connector.Pages, log connector.Log, reading Reading, state connector.State) *Reader {
	r := &Reader{
		pages: pages, log: log, retry: reading.Retry, turn: reading.Turn, memory: reading.Memory, workers: reading.Workers, oneWalk: reading.OneWalk,
		stream: reading.Stream, rules: reading.Rules, events: reading.Events,
		acceptHistory: reading.AcceptHistory, deliverHeld: reading.AcceptHistory && !state.Checkpoint.WordSpent,
		window: newWindow(reading.Rules, state), slice: reading.Rules.SlicePages,
		rejects: newRecentKeys(reading.Rules.Rejects, state.Checkpoint.Rejects), held: newRecentKeys(reading.Rules.Capacity, nil),
		times: groundTimes{base: state.Checkpoint.GroundTime},
	}
	r.record(state.Checkpoint)
	r.rebuildExempt()
	return r
}

// record takes over the newest checkpoint. Its keys of events and rejects would be in memory twice.
func (r *Reader) record(c connector.Checkpoint) {
	c.Tail, c.TailLate, c.Rejects = nil, nil, nil
	r.recorded = c
}

// Outcome says what one step did.
type Outcome struct {
	Pages     int // read, repeats of failed ones not counted
	Delivered int // events, late ones included
	Late      int
	Rejected  int
	Held      int // met, but not delivered, as nothing tells whether they were forgotten
	// Proven: the pages were proven to be slices of the list, so that the walk certified itself.
	Proven bool
	// Unchanged: page 0 was the one that had left nothing to do.
	Unchanged bool
	// More: the sweep is not done yet.
	More bool
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
// ErrMoved, ErrEmpty, ErrStalled, ErrMemoryLimit or a *Suspicion (the reader is as it was: poll again) or those of Log.Commit (the reader is spent, but for ErrNotNow).
func (r *Reader) Poll(ctx context.Context, start connector.Start) (Outcome, error) {
	if !r.recorded.Started {
		return r.firstStart(ctx, start)
	}
	r.takeAcceptHistory()
	var out Outcome
	var held connector.Fingerprint
	looked, err := r.stillSuspect(ctx)
	if out.Pages = looked; err != nil {
		return out, err
	}
	if r.Rested() {
		held = r.settled
	}
	var first *connector.Page
	if r.start == 0 && !r.aheadFromTop() {
		page, err := r.read(ctx, 0, held)
		if err != nil {
			return out, err
		}
		unchanged := held != "" && (page.Unchanged || page.Fingerprint == held)
		r.topAt = page.Received
		if unchanged {
			return Outcome{Pages: looked + 1, Unchanged: true, Rested: true}, nil
		}
		out.Pages = looked
		first = &page
		if len(page.Messages) > 0 {
			r.emptyPolls = 0
		}
	}
	if r.deliverHeld && first != nil && !r.asked {
		n, gone, err := r.goneAtOnce(ctx, *first)
		if out.Pages += n; err != nil || gone {
			return out, err
		}
	}
	// A History's page 0 is cut, and a walk from there for nothing would meet a burst before it comes to anything.
	if r.workers != nil && first != nil && r.empty() && (len(first.Messages) >= r.rules.Page || r.oneWalk) && !r.searched {
		n, err := r.findStart(ctx, first)
		r.searched = err == nil
		out.Pages += 1 + n
		return out, err
	}
	w, err := r.walk(ctx, first)
	out.Pages += w.pages
	switch {
	case errors.Is(err, ErrStalled):
		if r.stalls++; r.stalls >= r.rules.Repeats { // a list may move by just a page, twice in a row
			r.searchAfresh()
		}
		return out, err
	case errors.Is(err, errDeep):
		r.cleared = false
		if r.suspicion.Looks > 0 { // the list goes on after all
			r.suspicion, r.careful = suspicion{}, false
		}
		if r.overshot(w.order) {
			r.searchAfresh()
			r.careful = true
			return out, ErrMoved
		}
		if r.careful && r.minGroundRun == 0 && w.longest > 0 {
			r.minGroundRun = w.longest // the search began right above it, and it is all that is listed there
			return out, nil
		}
		n, err := r.findStart(ctx, nil)
		out.Pages += n
		return out, err
	case errors.Is(err, errGroundGone):
		n, err := r.newHorizon(ctx)
		out.Pages += n
		return out, err
	case err != nil:
		return out, err
	}
	before := w.pages
	err = r.settleTop(ctx, &w)
	if out.Pages += w.pages - before; err != nil {
		return out, err
	}
	if r.starts < r.rules.Repeats && r.unwanted(w.order) {
		r.starts++
		again, err := r.firstStart(ctx, connector.Start{Since: r.recorded.Bottom.Since})
		again.Pages += out.Pages
		return again, err
	}
	r.judge(&w)
	out.Newest = w.newest
	if out, err = r.deliver(ctx, w, out); err == nil && out.Rested {
		err = r.spendAcceptHistory(ctx)
	}
	return out, err
}

// read reads one page by itself, again as long as the retry policy says.
func (r *Reader) read(ctx context.Context, number int, held connector.Fingerprint) (connector.Page, error) {
	return r.readIn(ctx, Turn{Page: number}, held)
}

// readIn is read for a page of a batch.
func (r *Reader) readIn(ctx context.Context, turn Turn, held connector.Fingerprint) (connector.Page, error) {
	for {
		if r.turn != nil {
			if err := r.turn(ctx, turn); err != nil {
				return connector.Page{}, fmt.Errorf("read page: %w", err)
			}
		}
		page, err := r.pages.Page(ctx, r.stream, turn.Page, held)
		if err == nil {
			return page, nil
		}
		var fault *connector.PageError
		if !errors.As(err, &fault) {
			return connector.Page{}, fmt.Errorf("read page: %w", err)
		}
		if err := r.retry.Page(ctx, fault); err != nil {
			return connector.Page{}, fmt.Errorf("read page: %w", err)
		}
	}
}

// checkMemory asks whether the step may hold so many pages.
func (r *Reader) checkMemory(pages int) error {
	if r.memory == nil {
		return nil
	}
	return r.memory.Hold(pages)
}

// Rested says whether everything that the last walk met is in the log and certified.
func (r *Reader) Rested() bool {
	return r.recorded.Started && r.fromTop && r.start == 0 && r.previous == nil && r.window.certified == r.window.last && !r.groundless &&
		r.Doubts() == nil
}

// Checkpoint is the newest one committed, without its Tail, TailLate and Rejects.
func (r *Reader) Checkpoint() connector.Checkpoint { return r.recorded }

// Seen is the size of the seen window, and how many of its events are not certified.
func (r *Reader) Seen() (size int, uncertified uint64) {
	return len(r.window.entries), r.window.last - r.window.certified
}

// Start is the page at which the next walk begins; above 0 a deep backlog is being worked off.
func (r *Reader) Start() int { return r.start }

func newestTime(messages []connector.Message) time.Time {
	for i := range messages {
		if !messages[i].Time.IsZero() {
			return messages[i].Time
		}
	}
	return time.Time{}
}

// Holding says whether a message was met and not delivered, as nothing tells whether it was delivered and forgotten.
func (r *Reader) Holding(key connector.Key) bool { return r.held.has(key) }
