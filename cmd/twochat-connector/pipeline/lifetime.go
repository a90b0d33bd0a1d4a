package pipeline

import "sync"

// lifetime counts what runs of a pipeline. Streams come and go, so it is over when nothing runs any more and nobody is
// about to begin something.
type lifetime struct {
	over chan struct{} // closed then; nothing begins after that

	mu      sync.Mutex
	running int
}

// begin counts something that begins, and reports whether it may.
func (l *lifetime) begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.over:
		return false
	default:
	}
	l.running++
	return true
}

// end counts something that has ended.
func (l *lifetime) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running--; l.running == 0 {
		close(l.over)
	}
}
