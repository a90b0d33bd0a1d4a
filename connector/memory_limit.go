package connector

import "errors"

// Allowance says how many pages a Reader may hold in memory.
type Allowance interface {
	// Hold asks whether the step may hold so many pages at once. ErrNoRoom gives the step up, and all pages with it.
	Hold(pages int) error
	// Ahead says whether pages for the next step may be held beside.
	Ahead() bool
}

// ErrNoRoom says that the other streams hold as many pages as all may together. Nothing was concluded; poll again when there is
// room.
var ErrNoRoom = errors.New("other streams hold as many pages as all may together")
