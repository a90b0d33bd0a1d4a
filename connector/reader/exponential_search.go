package reader

import (
	"context"

	"github.com/twochat-connector/twochat-connector/connector"
)

// exponentialSearch finds the first page for which bottom is true, given that it is true for all pages below that one.
// It goes down in growing steps and then bisects, several pages at a time if there is a pool.
type exponentialSearch struct {
	pool   WorkerPool
	bounds *SearchBounds
	read   func(ctx context.Context, number int, held connector.Fingerprint) (connector.Page, error)
	bottom func(connector.Page) bool
	// low is the last page that is known to lie above the first bottom page.
	low int
	// narrow: a bottom page was found, so the rest of the search ends even if pages repeat.
	narrow bool
	// empty: the first bottom page shows nothing.
	empty bool
}

// A search reads several pages at a time. On its way down only the last few of them may be unnecessary, as it would
// read the others one by one as well. While it narrows in, each further page costs a call.
const (
	probesDown    = 5
	probesBetween = 3
)

// find returns the first bottom page below low. further returns the page to read after page high, which was reached by
// that step.
func (s *exponentialSearch) find(ctx context.Context, low, step int, further func(high, step int) int) (int, error) {
	s.low = low
	high := low + step
	for {
		numbers := []int{high}
		for len(numbers) < probesDown && s.pool != nil {
			last, before := numbers[len(numbers)-1], s.low
			if len(numbers) > 1 {
				before = numbers[len(numbers)-2]
			}
			numbers = append(numbers, further(last, last-before))
		}
		last, before := len(numbers)-1, s.low
		if last > 0 {
			before = numbers[last-1]
		}
		first, err := s.first(ctx, numbers)
		if err != nil {
			return 0, err
		}
		if first <= last {
			high = numbers[first]
			break
		}
		high = further(numbers[last], numbers[last]-before)
	}
	s.narrow = true
	for high-s.low > 1 {
		var numbers []int
		n := min(probesBetween, high-s.low-1)
		if s.pool == nil {
			n = 1
		}
		for i := range n {
			numbers = append(numbers, s.low+(high-s.low)*(i+1)/(n+1))
		}
		first, err := s.first(ctx, numbers)
		if err != nil {
			return 0, err
		}
		if first < n {
			high = numbers[first]
		}
	}
	return high, nil
}

// first returns the index of the first number whose page is a bottom page, or the count of numbers if none is. Refusals
// for pages below that one do not matter, as those pages are not needed.
func (s *exponentialSearch) first(ctx context.Context, numbers []int) (int, error) {
	pages, refused := make([]connector.Page, len(numbers)), make([]error, len(numbers))
	probe := func(ctx context.Context, i int) (err error) {
		if refused[i] = s.bounds.Allow(numbers[i]); refused[i] == nil {
			pages[i], err = s.read(ctx, numbers[i], "")
		}
		return err
	}
	var err error
	if len(numbers) == 1 {
		err = probe(ctx, 0)
	} else {
		err = s.pool.Each(ctx, len(numbers), probe)
	}
	if err != nil {
		return 0, err
	}
	for i, number := range numbers {
		if refused[i] == nil && s.bottom(pages[i]) {
			s.empty = len(pages[i].Messages) == 0
			return i, nil
		}
		if refused[i] == nil && !s.narrow {
			refused[i] = s.bounds.Note(number, pages[i])
		}
		if refused[i] != nil {
			return 0, refused[i]
		}
		s.low = number
	}
	return len(numbers), nil
}
