package reader

import (
	"context"
	"errors"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Reader reads one stream's list into its log. It is a state machine without a clock: Poll and Sweep are single steps,
// and everything that has to survive a crash is in the log's checkpoint. It is not safe for concurrent use. After any
// error of the log it must be discarded; a new one continues from what the next Acquire returns.
type Reader struct {
	rules Rules

	source   source    // reads pages
	known    known     // what is known about messages
	chain    chain     // uncertified events with nothing missing below them
	list     listState // where the list seems to end, and what is suspected of it
	prefetch prefetch  // pages read in parallel, and ahead
	progress progress  // where in the list reading is, and what is certified next
	writer   writer    // commits

	ends       walkEnds
	search     searcher
	sweep      sweeper
	endCheck   endCheck
	acceptance acceptance
	sections   sectionReader
}

// provenEnd is the page at which the list was proven to end. It is valid while page 0 is unchanged.
type provenEnd struct {
	number int
	page0  connector.Fingerprint
}

// RetryPolicy decides what a Reader does after a failure that may pass. Both methods block for as long as it is worth
// waiting, and return nil to try the same again or an error to give up the step.
type RetryPolicy interface {
	// Page is called when a page could not be read. It may be called by several goroutines.
	Page(ctx context.Context, fault *connector.PageError) error
	// Commit is called when the log took nothing (ErrNotNow), refused the stream (a *Refusal), or gave an unclear answer.
	// After the latter two the Reader acquires the log again, and calls Commit again if that fails.
	Commit(ctx context.Context, cause error) error
}

// Reading is the configuration of a Reader.
type Reading struct {
	Retry RetryPolicy
	// Admit is called before each request for a page and blocks until it may be made; nil admits every request. It may be
	// called by several goroutines.
	Admit  func(context.Context, Priority) error
	Stream connector.Stream
	Rules  Rules
	Events connector.EventSettings
	// MemoryLimit bounds the pages held in memory; nil sets no bound beyond that of the rules.
	MemoryLimit MemoryLimit
	// Workers reads pages in parallel; nil reads them one after the other.
	Workers WorkerPool
	// OneWalk reads nothing ahead for the next walk; a History needs it.
	OneWalk bool
	// AcceptHistory delivers, once, the messages that are held because all ground is gone (rule 8).
	AcceptHistory bool
}

// NewReader returns a reader that continues from what Log.Acquire returned.
func NewReader(pages connector.Pages, log connector.Log, reading Reading, state connector.State) *Reader {
	rules := reading.Rules
	r := &Reader{
		rules:  rules,
		source: source{pages: pages, retry: reading.Retry, admit: reading.Admit, stream: reading.Stream},
		known: known{
			rules: rules, window: newWindow(rules, state), rejects: newRecentKeys(rules.Rejects, state.Checkpoint.Rejects),
			erased: newErasedKeys(state.Erased), erasedRejects: erasedRejects(state.Erased),
			held: newRecentKeys(rules.Capacity, nil), times: groundTimes{base: state.Checkpoint.GroundTime},
		},
	}
	r.chain.known = &r.known
	r.progress = progress{rules: rules, known: &r.known, slice: rules.SlicePages}
	r.list = listState{
		rules: rules, known: &r.known, source: &r.source, progress: &r.progress, workers: reading.Workers,
	}
	r.prefetch = prefetch{
		rules: rules, source: &r.source, progress: &r.progress, memoryLimit: reading.MemoryLimit, workers: reading.Workers,
		oneWalk: reading.OneWalk,
	}
	r.writer = writer{rules: rules, known: &r.known, source: &r.source, log: log, events: reading.Events}
	r.ends, r.search, r.sweep = walkEnds{r}, searcher{r}, sweeper{Reader: r}
	r.endCheck, r.sections = endCheck{Reader: r}, sectionReader{r}
	r.acceptance = acceptance{
		Reader: r, acceptHistory: reading.AcceptHistory,
		deliverHeld: reading.AcceptHistory && !state.Checkpoint.AcceptHistoryUsed,
	}
	r.known.record(state.Checkpoint)
	r.known.rebuildExempt()
	return r
}

// Outcome is the result of one step.
type Outcome struct {
	Pages     int // read; retries are not counted
	Delivered int // events, including late ones
	Late      int
	Rejected  int
	Held      int // not delivered, as they may have been delivered and forgotten
	// Proven: the pages were proven to be slices of the list, so that the walk certified itself.
	Proven bool
	// Unchanged: page 0 was the same as when nothing was left to do.
	Unchanged bool
	// More: the sweep is not done yet.
	More bool
	// Rested: everything that was listed when the walk began is in the log and certified.
	Rested bool
	// Newest is the time of the newest message on page 0, or zero.
	Newest time.Time
}

// add counts the results of a commit.
func (o *Outcome) add(done Outcome) {
	o.Delivered += done.Delivered
	o.Late += done.Late
	o.Rejected += done.Rejected
}

// ErrMoved means that the list moved by a page or more in the middle of a walk. Nothing was concluded; walk again.
var ErrMoved = errors.New("the list moved by a page or more while it was read")

// ErrEmpty means that page 0 was empty. The list counts as empty only after several such polls in a row.
var ErrEmpty = errors.New("page 0 is empty")

// Poll makes one step: the first start, a walk with its delivery, or a search for ground. After an error of Pages,
// ErrMoved, ErrEmpty, ErrStalled, ErrMemoryLimit or a *Suspicion, the reader is unchanged: poll again. After an error
// of Log.Commit other than ErrNotNow, the reader must be discarded.
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
		n, gone, err := r.acceptance.confirmGroundGone(ctx, *first)
		if out.Pages += n; err != nil || gone {
			return out, err
		}
	}
	// Without ground a walk would read a slice in vain, so the list is searched first. A History's page 0 may be short.
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
		if r.list.stalls++; r.list.stalls >= r.rules.Repeats { // a list may move by exactly a page, twice in a row
			r.search.searchAfresh()
		}
		return out, err
	case errors.Is(err, errDeep):
		r.list.cleared = false
		if r.list.suspicion.Checks > 0 { // the list goes on, contrary to the suspicion
			r.list.suspicion, r.progress.careful = suspicion{}, false
		}
		if r.search.overshot(w.order) {
			r.search.searchAfresh()
			r.progress.careful = true
			return out, ErrMoved
		}
		if r.progress.careful && r.progress.minGroundRun == 0 && w.longest > 0 {
			r.progress.minGroundRun = w.longest // the search led directly above this run, and no other ground is listed there
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
	if r.progress.starts < r.rules.Repeats && r.endCheck.unwanted(w.order) {
		r.progress.starts++
		again, err := r.search.firstStart(ctx, connector.Start{Since: r.known.recorded.UncheckedEnd.Since})
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

// checkMemory returns an error if the step may not hold that many pages.
func (p *prefetch) checkMemory(pages int) error {
	if p.memoryLimit == nil {
		return nil
	}
	return p.memoryLimit.Hold(pages)
}

// Rested reports whether everything that the last walk met is in the log and certified.
func (r *Reader) Rested() bool {
	return r.known.recorded.Started && r.progress.fromTop && r.progress.start == 0 && r.progress.previous == nil &&
		r.known.window.certified == r.known.window.last && !r.known.groundless &&
		r.list.current() == nil
}

// Checkpoint is the newest committed checkpoint, without its Tail, TailLate and Rejects.
func (r *Reader) Checkpoint() connector.Checkpoint { return r.known.recorded }

// Seen returns the number of events in the seen window, and how many of them are not certified.
func (r *Reader) Seen() (size int, uncertified uint64) {
	return len(r.known.window.entries), r.known.window.last - r.known.window.certified
}

// StartPage is the page at which the next walk begins. It is above 0 while a deep backlog is worked off.
func (r *Reader) StartPage() int { return r.progress.start }

func newestTime(messages []connector.Message) time.Time {
	for i := range messages {
		if !messages[i].Time.IsZero() {
			return messages[i].Time
		}
	}
	return time.Time{}
}

// IsHeld reports whether a message was met and not delivered, as it may have been delivered and forgotten.
func (r *Reader) IsHeld(key connector.Key) bool { return r.known.held.has(key) }
