package pipeline

import (
	"context"
	"sync"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// watchdog records whether a stream's loop makes progress: when its last call to the API or the sink ended, and since
// when calls are in progress.
type watchdog struct {
	mu    sync.Mutex
	calls map[*watchedCall]struct{} // in progress; pages may be read in parallel
	last  time.Time                 // when the last call ended
}

// watchedCall is a call in progress.
type watchedCall struct {
	what  string
	began time.Time
}

func newWatchdog(now time.Time) *watchdog {
	return &watchdog{calls: map[*watchedCall]struct{}{}, last: now}
}

// begin records that a call begins, and its purpose; end must be called when it is over.
func (p *watchdog) begin(what string) (end func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	call := &watchedCall{what, time.Now()}
	p.calls[call] = struct{}{}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.calls, call)
		p.last = time.Now()
	}
}

// read returns since when the oldest call has been in progress, zero if there is none, and when the last call ended.
func (p *watchdog) read() (busy, last time.Time) {
	oldest, last := p.oldest()
	return oldest.began, last
}

// oldest returns the oldest call in progress, and when the last call ended.
func (p *watchdog) oldest() (oldest watchedCall, last time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for call := range p.calls {
		if oldest.began.IsZero() || call.began.Before(oldest.began) {
			oldest = *call
		}
	}
	return oldest, p.last
}

// watchedPages reads a stream's pages. The number of slots limits the requests in flight of all streams.
type watchedPages struct {
	pages    connector.Pages
	slots    chan struct{}
	watchdog *watchdog
}

func (l *watchedPages) Page(ctx context.Context, s connector.Stream, number int, held connector.Fingerprint) (
	connector.Page, error,
) {
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		return connector.Page{}, ctx.Err()
	}
	defer func() { <-l.slots }()
	defer l.watchdog.begin("a page from 2Chat")()
	return l.pages.Page(ctx, s, number, held)
}

// watchedLog watches a stream's log.
type watchedLog struct {
	connector.Log
	watchdog *watchdog
}

func (l *watchedLog) Acquire(ctx context.Context) (connector.State, error) {
	defer l.watchdog.begin("its place in the sink")()
	return l.Log.Acquire(ctx)
}

func (l *watchedLog) Commit(ctx context.Context, events []connector.Event, rejects []connector.Reject,
	next connector.Checkpoint,
) error {
	defer l.watchdog.begin("a commit to the sink")()
	return l.Log.Commit(ctx, events, rejects, next)
}

func (l *watchedLog) Peek(ctx context.Context) (connector.Checkpoint, bool, error) {
	defer l.watchdog.begin("the sink's checkpoint")()
	return l.Log.Peek(ctx)
}
