package cli

import "sync"

// Hangup decides what SIGHUP does: it ends the program, as a terminal that is closed does, until a command has another
// use for it.
type Hangup struct {
	mu     sync.Mutex
	handle func()
}

// NewHangup returns a Hangup that ends the program.
func NewHangup(end func()) *Hangup { return &Hangup{handle: end} }

// Signal is called for each signal.
func (h *Hangup) Signal() {
	h.mu.Lock()
	handle := h.handle
	h.mu.Unlock()
	handle()
}

// Take lets each signal call handle instead, which must not block.
func (h *Hangup) Take(handle func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.handle = handle
}
