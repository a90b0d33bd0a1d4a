package reader

import (
	"cmp"
	"errors"
)

// Priority orders the requests for pages that wait at the same time.
type Priority struct {
	// Batch is the number of a batch of pages; one batch may be read ahead of another. 0 is a single page.
	Batch int
	Page  int
	// Burst is how many requests of the batch, including this one, should follow each other immediately, as messages that
	// are added in between cost further requests; with 0 and 1 it does not matter. It does not affect the order.
	Burst int
}

// Compare is negative if p goes before other: by batch, and within a batch by page.
func (p Priority) Compare(other Priority) int {
	return cmp.Or(cmp.Compare(p.Batch, other.Batch), cmp.Compare(p.Page, other.Page))
}

// ErrPollDue ends a step of a sweep whose request could not be made before the stream's next poll. After the poll the
// sweep continues from where it was.
var ErrPollDue = errors.New("the next poll is due")
