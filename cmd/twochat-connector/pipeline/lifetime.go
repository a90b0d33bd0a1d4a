package pipeline

import "sync"

// lifetime counts what runs of a pipeline. Streams come and go, so it is over when nothing runs any more, nobody is about
// to begin something, and no further streams are expected.
type lifetime struct {
	over chan struct{} // closed then; nothing begins after that

	mu       sync.Mutex
	running  int
	expected bool // more streams may begin though nothing runs
}

// begin counts something that begins, and reports whether it may.
func (l *lifetime) begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isOver() {
		return false
	}
	l.running++
	return true
}

// end counts something that has ended.
func (l *lifetime) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running--
	l.check()
}

// expect says whether streams may begin although nothing runs now, as other replicas may leave theirs.
func (l *lifetime) expect(more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expected = more
	l.check()
}

func (l *lifetime) check() {
	if l.running == 0 && !l.expected && !l.isOver() {
		close(l.over)
	}
}

func (l *lifetime) isOver() bool {
	select {
	case <-l.over:
		return true
	default:
		return false
	}
}
