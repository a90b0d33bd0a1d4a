package connector

import "cmp"

// Turn says which page is to be asked for.
type Turn struct {
	// Group counts the groups of pages that a Reader reads, of which one may be read ahead of another; 0 is a page by itself.
	Group int
	Page  int
}

func (t Turn) compare(other Turn) int {
	return cmp.Or(cmp.Compare(t.Group, other.Group), cmp.Compare(t.Page, other.Page))
}
