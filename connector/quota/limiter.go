package quota

import (
	"context"
	"sync"
	"time"
)

// Urgency is the class of a request.
type Urgency int

// The urgencies, most urgent first. The most urgent waiting request goes first, but the other classes are not starved:
// every fourth request is of the next class that waits.
const (
	Live    Urgency = iota // page 0 of a stream: is there anything new?
	CatchUp                // further pages of a walk
	Sweep                  // late arrivals far below
	urgencies
)

// Limiter admits requests at a steady rate. All streams of an API key share one, as the rate limit is the account's.
// Within an urgency, requests go in order of arrival. It is safe for concurrent use.
type Limiter struct {
	mu     sync.Mutex
	gap    time.Duration // between two requests; 0 = no limit
	next   time.Time     // when the next request may go
	paused time.Time     // until when a pause lasts
	queues [urgencies][]chan struct{}
	passed int // requests in a row of one class while a less urgent one waited
	timer  *time.Timer
}

// NewLimiter returns a limiter of that many requests a minute; 0 means no limit.
func NewLimiter(perMinute float64) *Limiter {
	l := &Limiter{}
	l.SetRate(perMinute)
	return l
}

// SetRate changes the rate, also for requests that wait already: what is left of the gap before them becomes as much
// shorter or longer. A pause stays as long as it is.
func (l *Limiter) SetRate(perMinute float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	gap := time.Duration(0)
	if perMinute > 0 {
		gap = time.Duration(float64(time.Minute) / perMinute)
	}
	now, before := time.Now(), l.gap
	l.gap = gap
	from := now
	if l.paused.After(now) {
		from = l.paused
	}
	left := l.next.Sub(from)
	if gap == before || before == 0 || left <= 0 {
		return
	}
	l.next = from.Add(time.Duration(float64(left) / float64(before) * float64(gap)))
	if l.timer != nil {
		l.timer.Reset(max(0, l.next.Sub(now)))
	}
}

// Pause admits no request for d, after the server answered that there are too many (429).
func (l *Limiter) Pause(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until := time.Now().Add(d); until.After(l.next) {
		l.next, l.paused = until, until
	}
}

// Paused returns until when a Pause lasts; it is in the past or zero if there is none.
func (l *Limiter) Paused() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.paused
}

// Wait blocks until it is the caller's turn, or the context ends.
func (l *Limiter) Wait(ctx context.Context, urgency Urgency) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	l.mu.Lock()
	now := time.Now()
	if !l.waiting() && !now.Before(l.next) {
		l.next = now.Add(l.gap)
		l.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	l.queues[urgency] = append(l.queues[urgency], turn)
	l.arm(now)
	l.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		l.leave(urgency, turn)
		return ctx.Err()
	}
}

// Burst blocks until n requests may be made at once, of which the caller has already waited for one. It leaves as much
// time free before and after them as they would take one by one, so that no minute has more requests than the rate
// allows. The caller has to make them before the returned time.
func (l *Limiter) Burst(ctx context.Context, urgency Urgency, n int) (before time.Time, err error) {
	for range n - 1 {
		if err := l.Wait(ctx, urgency); err != nil {
			return time.Time{}, err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if n > 1 {
		l.next = l.next.Add(time.Duration(n-1) * l.gap)
	}
	return l.next, nil
}

func (l *Limiter) waiting() bool {
	for _, q := range l.queues {
		if len(q) > 0 {
			return true
		}
	}
	return false
}

// arm schedules the next call.
func (l *Limiter) arm(now time.Time) {
	if l.timer == nil {
		l.timer = time.AfterFunc(max(0, l.next.Sub(now)), l.call)
	}
}

// call admits the next request.
func (l *Limiter) call() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer = nil
	now := time.Now()
	if now.Before(l.next) { // paused meanwhile
		if l.waiting() {
			l.arm(now)
		}
		return
	}
	urgency, ok := l.choose()
	if !ok {
		return
	}
	turn := l.queues[urgency][0]
	l.queues[urgency] = l.queues[urgency][1:]
	close(turn)
	l.next = now.Add(l.gap)
	if l.waiting() {
		l.arm(now)
	}
}

// choose returns the most urgent class that waits or, every fourth time, the next one that waits.
func (l *Limiter) choose() (Urgency, bool) {
	var classes []Urgency
	for u := range urgencies {
		if len(l.queues[u]) > 0 {
			classes = append(classes, u)
		}
	}
	switch {
	case len(classes) == 0:
		return 0, false
	case len(classes) == 1:
		l.passed = 0
		return classes[0], true
	}
	if l.passed++; l.passed%4 != 0 {
		return classes[0], true
	}
	return classes[1+(l.passed/4-1)%(len(classes)-1)], true
}

// leave removes a caller that no longer waits. If its request was admitted at the same moment, that request is lost,
// and the next one goes as usual.
func (l *Limiter) leave(urgency Urgency, turn chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, t := range l.queues[urgency] {
		if t == turn {
			l.queues[urgency] = append(l.queues[urgency][:i], l.queues[urgency][i+1:]...)
			return
		}
	}
}
