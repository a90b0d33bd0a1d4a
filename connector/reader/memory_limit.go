package reader

import "errors"

// MemoryLimit bounds how many pages a Reader may hold in memory. Its methods must not block.
type MemoryLimit interface {
	// Hold returns nil if the step may hold that many pages at once. With ErrMemoryLimit the step drops all its pages and
	// ends.
	Hold(pages int) error
	// Ahead reports whether pages for the next step may be held as well.
	Ahead() bool
}

// ErrMemoryLimit means that the other streams already hold as many pages as all streams may hold together. Nothing was
// concluded; poll again later.
var ErrMemoryLimit = errors.New("other streams hold as many pages as all may together")
