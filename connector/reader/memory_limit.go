package reader

import "errors"

// MemoryLimit says how many pages a Reader may hold in memory.
type MemoryLimit interface {
	// Hold asks whether the step may hold so many pages at once. ErrMemoryLimit gives the step up, and all pages with it.
	Hold(pages int) error
	// Ahead says whether pages for the next step may be held beside.
	Ahead() bool
}

// ErrMemoryLimit says that the other streams hold as many pages as all may together. Nothing was concluded; poll again
// when there is a slot.
var ErrMemoryLimit = errors.New("other streams hold as many pages as all may together")
