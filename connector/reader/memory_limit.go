package reader

import "errors"

// MemoryLimit bounds how many pages a Reader may hold in memory. Its methods must not block.
type MemoryLimit interface {
	// Hold returns nil if the step may hold that many pages at once. After ErrMemoryLimit the step drops all its pages and
	// ends.
	Hold(pages int) error
	// Ahead returns for how many of the next steps pages may be held as well. It returns wanted or fewer, but not fewer
	// than held, the number for which pages are held now.
	Ahead(held, wanted int) int
}

// ErrMemoryLimit means that the other streams already hold as many pages as all streams may hold together. Nothing was
// concluded; poll again later.
var ErrMemoryLimit = errors.New("other streams hold as many pages as all streams together may")
