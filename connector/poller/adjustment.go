package poller

import (
	"context"
	"sync"
	"time"
)

// adjustment tells whoever waits that intervals or limits have changed. It is safe for concurrent use.
type adjustment struct {
	mu   sync.Mutex
	made chan struct{} // closed with the next change; nil if nobody has asked yet
}

// next is closed when something changes from now on. Whoever wants to miss no change asks for it first, and looks then.
func (a *adjustment) next() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.made == nil {
		a.made = make(chan struct{})
	}
	return a.made
}

// tell says that something has changed.
func (a *adjustment) tell() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.made != nil {
		close(a.made)
		a.made = nil
	}
}

// sleepUntil waits for that long, or until something happens. It returns false if the context ended.
func sleepUntil(ctx context.Context, d time.Duration, happens <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-happens:
		return true
	case <-timer.C:
		return true
	}
}
