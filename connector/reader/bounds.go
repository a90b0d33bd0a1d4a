package reader

import (
	"errors"
	"fmt"
	"sync"

	"github.com/twochat-connector/twochat-connector/connector"
)

// ErrStalled says that a search for a place in the list came to nothing within its bounds: the list shows the same page
// at two places, ends where it should go on, or goes on for ever. Nothing was concluded; a later search begins afresh.
var ErrStalled = errors.New("the list cannot be searched")

// Stalled is ErrStalled with what the search met.
func Stalled(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrStalled}, args...)...)
}

const (
	// FarthestPage is the last page that any search asks for: a list of a hundred million messages. Page numbers are
	// doubled on the way there, so that no answer leads to more than a few dozen calls.
	FarthestPage = 1 << 20
	// MaxSearchLooks is how many pages one search may look at where it cannot double its steps.
	MaxSearchLooks = 200
	// carefulLooks is how many where it goes down in small steps to an end that is known: one that were cut on its way
	// would begin again whenever another instance takes the stream over.
	carefulLooks = 4000
)

// SearchBounds watches over one search for a place in the list. Two places that it looks at should not show the same
// page: where they do, the page number is ignored, or cut to the last page, and going further down leads nowhere. Only
// where they are neighbours, the list may have moved by just so many pages in between, which does not happen twice
// running. It may be used by several goroutines.
type SearchBounds struct {
	mu      sync.Mutex
	looks   int
	most    int
	seen    map[Face]int
	repeats int
}

// neighbours is how far apart two places may be between which a list may move while it is searched.
const neighbours = 16

// Face is by what a page is known again.
type Face struct {
	first, last connector.Key
	rows        int
}

// FaceOf is that of a page; of an empty one nothing.
func FaceOf(page connector.Page) Face {
	if len(page.Messages) == 0 {
		return Face{}
	}
	return Face{page.Messages[0].Key, page.Messages[len(page.Messages)-1].Key, len(page.Messages)}
}

// NewSearchBounds are those of a search that may look at so many pages.
func NewSearchBounds(most int) *SearchBounds { return &SearchBounds{most: most, seen: map[Face]int{}} }

// Ask says whether a page may be looked at.
func (b *SearchBounds) Ask(number int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.looks++
	switch {
	case number > FarthestPage:
		return Stalled("it goes on at page %d and shows nothing that is looked for", FarthestPage)
	case b.looks > b.most:
		return Stalled("%d pages were looked at, and none shows what is looked for", b.most)
	}
	return nil
}

// Show notes what a page shows.
func (b *SearchBounds) Show(number int, page connector.Page) error {
	if len(page.Messages) == 0 {
		return nil
	}
	f := FaceOf(page)
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

// spent says whether as many pages were looked at as may be.
func (b *SearchBounds) spent() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.looks > b.most
}

// made is how many pages were looked at.
func (b *SearchBounds) made() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return min(b.looks, b.most)
}
