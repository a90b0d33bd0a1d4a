package reader

import (
	"context"

	"github.com/twochat-connector/twochat-connector/connector"
)

// gallop searches the list for a place, within bounds: the first page that is at the bottom, given that all below a
// bottom are bottoms too. It goes down in growing steps and then narrows in, several pages at a time where there is a
// pool.
type gallop struct {
	pool   WorkerPool
	bounds *SearchBounds
	read   func(ctx context.Context, number int, held connector.Fingerprint) (connector.Page, error)
	bottom func(connector.Page) bool
	// low is the last page that is known to lie above the bottom.
	low int
	// narrow: a bottom was found. What is left is bounded by itself, whatever repeats.
	narrow bool
}

// probes is how many pages a search asks for at a time.
const probes = 3

// find is the first page below low that is at the bottom. further says which page to look at after one, by the step
// that led there.
func (g *gallop) find(ctx context.Context, low, step int, further func(high, step int) int) (int, error) {
	g.low = low
	high := low + step
	for {
		numbers := []int{high}
		for len(numbers) < probes && g.pool != nil {
			last, before := numbers[len(numbers)-1], g.low
			if len(numbers) > 1 {
				before = numbers[len(numbers)-2]
			}
			numbers = append(numbers, further(last, last-before))
		}
		last, before := len(numbers)-1, g.low
		if last > 0 {
			before = numbers[last-1]
		}
		first, err := g.first(ctx, numbers)
		if err != nil {
			return 0, err
		}
		if first <= last {
			high = numbers[first]
			break
		}
		high = further(numbers[last], numbers[last]-before)
	}
	g.narrow = true
	for high-g.low > 1 {
		var numbers []int
		n := min(probes, high-g.low-1)
		if g.pool == nil {
			n = 1
		}
		for i := range n {
			numbers = append(numbers, g.low+(high-g.low)*(i+1)/(n+1))
		}
		first, err := g.first(ctx, numbers)
		if err != nil {
			return 0, err
		}
		if first < n {
			high = numbers[first]
		}
	}
	return high, nil
}

// first is the place of the first number, going down, that is at the bottom; their count where none is. What stands in
// the way of those below the bottom does not matter: nobody needed to ask for them.
func (g *gallop) first(ctx context.Context, numbers []int) (int, error) {
	pages, refused := make([]connector.Page, len(numbers)), make([]error, len(numbers))
	probe := func(ctx context.Context, i int) (err error) {
		if refused[i] = g.bounds.Ask(numbers[i]); refused[i] == nil {
			pages[i], err = g.read(ctx, numbers[i], "")
		}
		return err
	}
	var err error
	if len(numbers) == 1 {
		err = probe(ctx, 0)
	} else {
		err = g.pool.Each(ctx, len(numbers), probe)
	}
	if err != nil {
		return 0, err
	}
	for i, number := range numbers {
		if refused[i] == nil && g.bottom(pages[i]) {
			return i, nil
		}
		if refused[i] == nil && !g.narrow {
			refused[i] = g.bounds.Show(number, pages[i])
		}
		if refused[i] != nil {
			return 0, refused[i]
		}
		g.low = number
	}
	return len(numbers), nil
}
