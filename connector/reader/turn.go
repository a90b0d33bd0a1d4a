package reader

import (
	"cmp"
	"errors"
)

// Turn says which page is to be asked for.
type Turn struct {
	// Batch counts the batches of pages that a Reader reads, of which one may be read ahead of another; 0 is a page by
	// itself.
	Batch int
	Page  int
}

// Compare orders turns as they are taken: by batch, and within it by page.
func (t Turn) Compare(other Turn) int {
	return cmp.Or(cmp.Compare(t.Batch, other.Batch), cmp.Compare(t.Page, other.Page))
}

// ErrPollDue ends a step of a sweep that got no turn before the stream's next poll. The sweep goes on after it, where
// it was.
var ErrPollDue = errors.New("the next poll is due")
