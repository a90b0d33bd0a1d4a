package reader

import (
	"context"
	"slices"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// startSlack is how much older than the start a message may be and still count as new, if a start from now on met an
// empty list: clocks differ.
const startSlack = 10 * time.Minute

// firstStart finds the floor, below which nothing is wanted, and commits it (rule 12).
func (r *searcher) firstStart(ctx context.Context, start connector.Start) (Outcome, error) {
	var out Outcome
	var floor []connector.Message
	now := !start.Beginning && start.Since.IsZero()
	switch {
	case start.Beginning:
	case now:
		page, err := r.source.read(ctx, 0, "")
		if err != nil {
			return out, err
		}
		out.Pages, out.Newest = 1, newestTime(page.Messages)
		if len(page.Messages) == 0 {
			if err := r.list.emptyList(ctx); err != nil {
				return out, err
			}
			// The list may only fail for a while: older messages that show up later are not wanted.
			start.Since = page.Received.Add(-startSlack)
		}
		floor = page.Messages[:min(len(page.Messages), r.rules.Floor)]
	default:
		var err error
		floor, _, out.Pages, err = r.boundary(ctx, func(t time.Time) bool { return t.Before(start.Since) })
		if err != nil {
			return out, err
		}
	}
	next := r.known.recorded
	next.Started = true
	if len(floor) == 0 {
		next.UncheckedEnd = &connector.UncheckedEnd{Since: start.Since}
	}
	next.Floor, next.Rejects, next.GroundTime = nil, r.known.rejects.with(nil), r.known.recorded.GroundTime
	var times []time.Time
	for i := range floor {
		if floor[i].Fault != "" {
			next.Rejects = append(next.Rejects, floor[i].Key) // not wanted, so not quarantined either
			continue
		}
		next.Floor = append(next.Floor, floor[i].Key)
		if !floor[i].Time.IsZero() && len(times) < medianOf {
			times = append(times, floor[i].Time)
		}
	}
	if len(times) > 0 {
		next.GroundTime = medianTime(times)
	}
	next.Tail, next.TailLate = r.known.window.tail(r.known.window.certified)
	if err := r.writer.append(ctx, nil, nil, &next); err != nil {
		return out, err
	}
	for _, key := range next.Rejects {
		r.known.rejects.add(key)
	}
	r.known.record(next)
	r.known.times.base = next.GroundTime
	r.progress.fromTop = now // everything on page 0 is known
	r.known.rebuildExempt()
	return out, nil
}

// boundary finds the first run of messages that are older than wanted. It returns at most a floor's worth of them, all
// from one page, the row of the list at which they begin, and how many pages it read; no messages mean that nothing
// listed is that old. Times are only used to find the page: everything above the run is wanted, whatever its time.
func (r *searcher) boundary(ctx context.Context, older func(time.Time) bool) (old []connector.Message, row, pages int,
	err error,
) {
	b := NewSearchBounds(MaxSearchPages)
	for low := -1; ; {
		down := exponentialSearch{pool: r.prefetch.workers, bounds: b, read: r.source.read}
		down.bottom = func(page connector.Page) bool {
			return len(page.Messages) == 0 || AllOlder(page.Messages, older)
		}
		high, err := down.find(ctx, low, 1, func(high, step int) int { return high + 2*step })
		if err != nil {
			return nil, 0, pages + b.count(), err
		}
		old, row, low, err = r.boundaryNear(ctx, high, down.empty, older, &pages)
		if low < 0 || err != nil {
			return old, row, pages + b.count(), err
		}
	}
}

// boundaryNear reads the pages around the one to which a search for the boundary led. If that is an empty one and the
// list goes on below it, the search has to go on from page low; otherwise low is -1.
func (r *searcher) boundaryNear(ctx context.Context, high int, empty bool, older func(time.Time) bool, pages *int) (
	old []connector.Message, row, low int, err error,
) {
	var before connector.Page
	for number := max(0, high-2); ; number++ {
		if number > high+r.rules.SlicePages {
			return nil, 0, -1, Stalled("page %d and the %d pages below it show neither %d messages in a row that are older than the wanted ones nor an end", high, r.rules.SlicePages, r.rules.Run)
		}
		*pages++
		page, ends, err := r.list.page(ctx, number)
		switch {
		case err != nil:
			return nil, 0, -1, err
		case ends: // there may be fewer old messages than a run above the end
			if number == 0 {
				err = r.list.emptyList(ctx)
			}
			old = trailing(before.Messages, older)
			return old, before.Number*r.rules.Page + len(before.Messages) - len(old), -1, err
		case len(page.Messages) == 0:
			continue
		}
		if run := firstRun(page.Messages, older, r.rules.Run); run != nil {
			return run[:min(len(run), r.rules.Floor)], number*r.rules.Page + len(page.Messages) - len(run), -1, nil
		}
		if empty && number > high {
			return nil, 0, number, nil
		}
		before = page
	}
}

// ages reports for each message whether it is older than wanted. One without a time counts as its upper neighbour, or
// as wanted if there is none.
func ages(messages []connector.Message, older func(time.Time) bool) []bool {
	old := make([]bool, len(messages))
	for i := range messages {
		switch {
		case !messages[i].Time.IsZero():
			old[i] = older(messages[i].Time)
		case i > 0:
			old[i] = old[i-1]
		}
	}
	return old
}

// AllOlder reports whether older is true for the times of all messages that have one. It is false if none has a time.
func AllOlder(messages []connector.Message, older func(time.Time) bool) bool {
	timed := slices.ContainsFunc(messages, func(m connector.Message) bool { return !m.Time.IsZero() })
	return timed && !slices.ContainsFunc(messages, func(m connector.Message) bool {
		return !m.Time.IsZero() && !older(m.Time)
	})
}

// firstRun returns the messages from the first run of n older ones on, or nil if there is no such run.
func firstRun(messages []connector.Message, older func(time.Time) bool, n int) []connector.Message {
	run := 0
	for i, old := range ages(messages, older) {
		if !old {
			run = 0
			continue
		}
		if run++; run >= n {
			return messages[i+1-run:]
		}
	}
	return nil
}

// trailing returns the older messages at the end of a page.
func trailing(messages []connector.Message, older func(time.Time) bool) []connector.Message {
	old := ages(messages, older)
	from := len(messages)
	for from > 0 && old[from-1] {
		from--
	}
	return messages[from:]
}

// asOldAsGround returns the first run of the list that is as old as ground was, or the top of the list if no time is
// known.
func (r *searcher) asOldAsGround(ctx context.Context) (old []connector.Message, pages int, err error) {
	limit := r.known.times.median(r.known.window.certified)
	if !limit.IsZero() {
		old, _, pages, err = r.boundary(ctx, func(t time.Time) bool { return !t.After(limit) })
		return old, pages, err
	}
	page, err := r.source.read(ctx, 0, "")
	return page.Messages[:min(len(page.Messages), r.rules.Floor)], 1, err
}

// newHorizon applies rule 8 in a deep backlog after a careful search met no ground: the first run that is as old as
// ground was becomes the horizon, and everything above it is new. If nothing is that old, the whole list is new.
func (r *searcher) newHorizon(ctx context.Context) (int, error) {
	old, pages, err := r.asOldAsGround(ctx)
	if err != nil {
		return pages, err
	}
	var b delivery
	for i := range old {
		if old[i].Fault == "" {
			b.horizon = append(b.horizon, old[i].Key)
			if !r.known.has(old[i].Key) {
				r.known.countHeld(old[i].Key)
			}
		}
	}
	r.progress.start, r.progress.previous, r.progress.careful, r.progress.fromTop = 0, nil, false, false
	if len(b.horizon) == 0 {
		r.known.groundless, r.known.since, r.known.lowest = true, r.known.window.last, r.list.lowest
		return pages, nil
	}
	_, err = r.writer.commit(ctx, b, 0)
	return pages, err
}
