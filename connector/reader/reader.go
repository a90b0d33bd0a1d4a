package reader

import (
	"context"
	"errors"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Reader reads one stream's list into its log. It is a state machine without a clock or a goroutine of its own: Poll
// and Sweep are single steps, and all that has to survive a crash is in the log's checkpoint. A Reader is used by one
// goroutine, and is thrown away after any error of the log: a new one begins where the next Acquire says.
type Reader struct {
	rules Rules

	source   source    // asks for pages
	known    known     // what is known of messages
	chain    chain     // what follows on ground without being certified
	list     listState // where the list seems to end, and what is suspected of it
	prefetch prefetch  // pages read side by side, and ahead
	progress progress  // where in the list reading is, and what is certified next
	writer   writer    // commits

	ends       walkEnds
	search     searcher
	sweep      sweeper
	endLook    endLook
	acceptance acceptance
	pieces     pieceReading
}

// provenEnd is the page at which the list was proven to end, valid while page 0 stays as it was.
type provenEnd struct {
	number int
	page0  connector.Fingerprint
}

// RetryPolicy says what a Reader does when something does not work now. Both calls block for as long as it is worth
// waiting, and return nil to have the same tried again, or an error to give up the step.
type RetryPolicy interface {
	// Page: a page could not be read.
	Page(ctx context.Context, fault *connector.PageError) error
	// Commit: the log took nothing now (ErrNotNow), refuses by name (a *Refusal), or left it unclear. After the latter two
	// the log is taken over anew first, and Commit is asked again where that fails.
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
	rules := reading.Rules
	r := &Reader{
		rules:  rules,
		source: source{pages: pages, retry: reading.Retry, turn: reading.Turn, stream: reading.Stream},
		known: known{
			rules: rules, window: newWindow(rules, state), rejects: newRecentKeys(rules.Rejects, state.Checkpoint.Rejects),
			held: newRecentKeys(rules.Capacity, nil), times: groundTimes{base: state.Checkpoint.GroundTime},
		},
	}
	r.chain.known = &r.known
	r.progress = progress{rules: rules, known: &r.known, slice: rules.SlicePages}
	r.list = listState{rules: rules, known: &r.known, source: &r.source, progress: &r.progress}
	r.prefetch = prefetch{
		rules: rules, source: &r.source, progress: &r.progress, memory: reading.Memory, workers: reading.Workers,
		oneWalk: reading.OneWalk,
	}
	r.writer = writer{rules: rules, known: &r.known, source: &r.source, log: log, events: reading.Events}
	r.ends, r.search, r.sweep = walkEnds{r}, searcher{r}, sweeper{Reader: r}
	r.endLook, r.pieces = endLook{Reader: r}, pieceReading{r}
	r.acceptance = acceptance{
		Reader: r, acceptHistory: reading.AcceptHistory, deliverHeld: reading.AcceptHistory && !state.Checkpoint.WordSpent,
	}
	r.known.record(state.Checkpoint)
	r.known.rebuildExempt()
	return r
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

// Poll makes one step: the first start, a walk with what it delivers, or a search for ground. Errors are those of
// Pages, ErrMoved, ErrEmpty, ErrStalled, ErrMemoryLimit or a *Suspicion (the reader is as it was: poll again) or those
// of Log.Commit (the reader is spent, but for ErrNotNow).
func (r *Reader) Poll(ctx context.Context, start connector.Start) (Outcome, error) {
	if !r.known.recorded.Started {
		return r.search.firstStart(ctx, start)
	}
	r.acceptance.takeAcceptHistory()
	var out Outcome
	var held connector.Fingerprint
	looked, err := r.list.stillSuspect(ctx)
	if out.Pages = looked; err != nil {
		return out, err
	}
	if r.Rested() {
		held = r.list.settled
	}
	var first *connector.Page
	if r.progress.start == 0 && !r.prefetch.aheadFromTop() {
		page, err := r.source.read(ctx, 0, held)
		if err != nil {
			return out, err
		}
		unchanged := held != "" && (page.Unchanged || page.Fingerprint == held)
		r.list.topAt = page.Received
		if unchanged {
			return Outcome{Pages: looked + 1, Unchanged: true, Rested: true}, nil
		}
		out.Pages = looked
		first = &page
		if len(page.Messages) > 0 {
			r.list.emptyPolls = 0
		}
	}
	if r.acceptance.deliverHeld && first != nil && !r.acceptance.asked {
		n, gone, err := r.acceptance.goneAtOnce(ctx, *first)
		if out.Pages += n; err != nil || gone {
			return out, err
		}
	}
	// A History's page 0 is cut, and a walk from there for nothing would meet a burst before it comes to anything.
	if r.prefetch.workers != nil && first != nil && r.known.empty() &&
		(len(first.Messages) >= r.rules.Page || r.prefetch.oneWalk) && !r.progress.searched {
		n, err := r.search.findStart(ctx, first)
		r.progress.searched = err == nil
		out.Pages += 1 + n
		return out, err
	}
	w, err := r.walk(ctx, first)
	out.Pages += w.pages
	switch {
	case errors.Is(err, ErrStalled):
		if r.list.stalls++; r.list.stalls >= r.rules.Repeats { // a list may move by just a page, twice in a row
			r.search.searchAfresh()
		}
		return out, err
	case errors.Is(err, errDeep):
		r.list.cleared = false
		if r.list.suspicion.Looks > 0 { // the list goes on after all
			r.list.suspicion, r.progress.careful = suspicion{}, false
		}
		if r.search.overshot(w.order) {
			r.search.searchAfresh()
			r.progress.careful = true
			return out, ErrMoved
		}
		if r.progress.careful && r.progress.minGroundRun == 0 && w.longest > 0 {
			r.progress.minGroundRun = w.longest // the search began right above it, and it is all that is listed there
			return out, nil
		}
		n, err := r.search.findStart(ctx, nil)
		out.Pages += n
		return out, err
	case errors.Is(err, errGroundGone):
		n, err := r.search.newHorizon(ctx)
		out.Pages += n
		return out, err
	case err != nil:
		return out, err
	}
	before := w.pages
	err = r.ends.settleTop(ctx, &w)
	if out.Pages += w.pages - before; err != nil {
		return out, err
	}
	if r.progress.starts < r.rules.Repeats && r.endLook.unwanted(w.order) {
		r.progress.starts++
		again, err := r.search.firstStart(ctx, connector.Start{Since: r.known.recorded.Bottom.Since})
		again.Pages += out.Pages
		return again, err
	}
	r.list.judge(&w)
	out.Newest = w.newest
	if out, err = r.deliver(ctx, w, out); err == nil && out.Rested {
		err = r.acceptance.spendAcceptHistory(ctx)
	}
	return out, err
}

// checkMemory asks whether the step may hold so many pages.
func (p *prefetch) checkMemory(pages int) error {
	if p.memory == nil {
		return nil
	}
	return p.memory.Hold(pages)
}

// Rested says whether everything that the last walk met is in the log and certified.
func (r *Reader) Rested() bool {
	return r.known.recorded.Started && r.progress.fromTop && r.progress.start == 0 && r.progress.previous == nil &&
		r.known.window.certified == r.known.window.last && !r.known.groundless &&
		r.list.doubts() == nil
}

// Checkpoint is the newest one committed, without its Tail, TailLate and Rejects.
func (r *Reader) Checkpoint() connector.Checkpoint { return r.known.recorded }

// Seen is the size of the seen window, and how many of its events are not certified.
func (r *Reader) Seen() (size int, uncertified uint64) {
	return len(r.known.window.entries), r.known.window.last - r.known.window.certified
}

// Start is the page at which the next walk begins; above 0 a deep backlog is being worked off.
func (r *Reader) Start() int { return r.progress.start }

func newestTime(messages []connector.Message) time.Time {
	for i := range messages {
		if !messages[i].Time.IsZero() {
			return messages[i].Time
		}
	}
	return time.Time{}
}

// Holding says whether a message was met and not delivered, as nothing tells whether it was delivered and forgotten.
func (r *Reader) Holding(key connector.Key) bool { return r.known.held.has(key) }
