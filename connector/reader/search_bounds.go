package reader

import (
	"errors"
	"fmt"
	"sync"

	"github.com/twochat-connector/twochat-connector/connector"
)

// ErrStalled means that a search for a place in the list failed within its bounds: the list shows the same page at two
// places, ends where it should go on, or does not end. Nothing was concluded; a later search starts from scratch.
var ErrStalled = errors.New("the list cannot be searched")

// Stalled wraps ErrStalled with what the search found.
func Stalled(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrStalled}, args...)...)
}

const (
	// FarthestPage is the last page that any search asks for: a list of a hundred million messages. Searches double the
	// page number on the way there, so that no answer of the API costs more than a few dozen calls.
	FarthestPage = 1 << 20
	// MaxSearchPages is how many pages one search may read if it cannot double its steps.
	MaxSearchPages = 200
	// carefulPages is the same limit for a search in small steps down to a known end. It is high, as a search that is cut
	// off starts again each time another instance takes the stream over.
	carefulPages = 4000
)

// SearchBounds limits one search for a place in the list. Two page numbers should not show the same page: if they do,
// the API ignores the number or cuts it to the last page, and there is no point in going further down. Only for
// neighbouring numbers it may be that the list moved by exactly as many pages in between, which does not happen twice
// in a row. It is safe for concurrent use.
type SearchBounds struct {
	mu      sync.Mutex
	looks   int
	most    int
	seen    map[PageSignature]int
	repeats int
}

// neighbours is how many pages a list may move while it is searched.
const neighbours = 16

// PageSignature identifies a page by its first and last message and its number of rows.
type PageSignature struct {
	first, last connector.Key
	rows        int
}

// SignatureOf returns the signature of a page, which is zero for an empty one.
func SignatureOf(page connector.Page) PageSignature {
	if len(page.Messages) == 0 {
		return PageSignature{}
	}
	return PageSignature{page.Messages[0].Key, page.Messages[len(page.Messages)-1].Key, len(page.Messages)}
}

// NewSearchBounds limits a search to that many pages.
func NewSearchBounds(most int) *SearchBounds {
	return &SearchBounds{most: most, seen: map[PageSignature]int{}}
}

// Allow counts a page that is about to be read. The error is ErrStalled if the search has used up its bounds.
func (b *SearchBounds) Allow(number int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.looks++
	switch {
	case number > FarthestPage:
		return Stalled("it goes on at page %d without what is searched for", FarthestPage)
	case b.looks > b.most:
		return Stalled("%d pages were read, and none shows what is searched for", b.most)
	}
	return nil
}

// Note records what a page shows. The error is ErrStalled if further page numbers show nothing further down.
func (b *SearchBounds) Note(number int, page connector.Page) error {
	if len(page.Messages) == 0 {
		return nil
	}
	f := SignatureOf(page)
	b.mu.Lock()
	defer b.mu.Unlock()
	at, again := b.seen[f]
	b.seen[f] = number
	if !again || at == number {
		b.repeats = 0
		return nil
	}
	if b.repeats++; b.repeats > 1 || max(at, number)-min(at, number) > neighbours {
		return Stalled("page %d shows the same as page %d: the page number is ignored, or cut to the last page",
			max(at, number), min(at, number))
	}
	return nil
}

// spent reports whether the search has used up its pages.
func (b *SearchBounds) spent() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.looks > b.most
}

// count is how many pages were read.
func (b *SearchBounds) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return min(b.looks, b.most)
}
