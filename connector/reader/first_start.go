package reader

import (
	"context"
	"slices"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// startSlack is how much older than a start from now on a message may be and still count as new, where the list was
// empty: clocks differ.
const startSlack = 10 * time.Minute

// firstStart settles what is wanted: it finds the floor and records it.
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
			// It may be a list that fails for a while: what shows later and was there before is not wanted.
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
		next.Bottom = &connector.Bottom{Since: start.Since}
	}
	next.Floor, next.Rejects, next.GroundTime = nil, r.known.rejects.with(nil), r.known.recorded.GroundTime
	var times []time.Time
	for i := range floor {
		if floor[i].Fault != "" {
			next.Rejects = append(next.Rejects, floor[i].Key) // not wanted, so not worth a place in the quarantine
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
	r.progress.fromTop = now // all that page 0 showed is known
	r.known.rebuildExempt()
	return out, nil
}

// boundary finds the first messages below the first run that are older than wanted, at most a floor's worth, all on one
// page (one page is one instant's slice), the row of the list at which they stand, and how many pages it read. None
// means that nothing listed is that old. Times guide it only to the page: what lies above the run that it returns is
// wanted, whatever its time.
func (r *searcher) boundary(ctx context.Context, older func(time.Time) bool) (old []connector.Message, row, pages int,
	err error,
) {
	b := NewSearchBounds(MaxSearchLooks)
	g := gallop{pool: r.prefetch.workers, bounds: b, read: r.source.read, bottom: func(page connector.Page) bool {
		return len(page.Messages) == 0 || AllOlder(page.Messages, older)
	}}
	high, err := g.find(ctx, -1, 1, func(high, step int) int { return high + 2*step })
	if err != nil {
		return nil, 0, b.made(), err
	}
	pages = b.made()
	var before connector.Page
	for number := max(0, high-2); ; number++ {
		if number > high+r.rules.SlicePages {
			return nil, 0, pages, Stalled("page %d and the %d below it show no %d messages in a row that are older than what is wanted, and no end", high, r.rules.SlicePages, r.rules.Run)
		}
		pages++
		page, ends, err := r.list.page(ctx, number)
		switch {
		case err != nil:
			return nil, 0, pages, err
		case ends: // fewer old messages than a run may stand above it
			if number == 0 {
				err = r.list.emptyList(ctx)
			}
			old = trailing(before.Messages, older)
			return old, before.Number*r.rules.Page + len(before.Messages) - len(old), pages, err
		case len(page.Messages) == 0:
			continue
		}
		if run := firstRun(page.Messages, older, r.rules.Run); run != nil {
			return run[:min(len(run), r.rules.Floor)], number*r.rules.Page + len(page.Messages) - len(run), pages, nil
		}
		before = page
	}
}

// ages says of each message whether it is older than wanted; one without a time takes its upper neighbour's, and counts
// as wanted where there is none.
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

// AllOlder says whether all messages with a time, of which there is one at least, are older.
func AllOlder(messages []connector.Message, older func(time.Time) bool) bool {
	timed := slices.ContainsFunc(messages, func(m connector.Message) bool { return !m.Time.IsZero() })
	return timed && !slices.ContainsFunc(messages, func(m connector.Message) bool {
		return !m.Time.IsZero() && !older(m.Time)
	})
}

// firstRun is what follows from the first run of n messages that are all older than wanted; nil where there is none.
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

// trailing is what stands at the end of a page and is older than wanted.
func trailing(messages []connector.Message, older func(time.Time) bool) []connector.Message {
	old := ages(messages, older)
	from := len(messages)
	for from > 0 && old[from-1] {
		from--
	}
	return messages[from:]
}

// asOldAsGround is the first run of the list that is as old as ground was; without any time to tell by, its top.
func (r *searcher) asOldAsGround(ctx context.Context) (old []connector.Message, pages int, err error) {
	limit := r.known.times.median(r.known.window.certified)
	if !limit.IsZero() {
		old, _, pages, err = r.boundary(ctx, func(t time.Time) bool { return !t.After(limit) })
		return old, pages, err
	}
	page, err := r.source.read(ctx, 0, "")
	return page.Messages[:min(len(page.Messages), r.rules.Floor)], 1, err
}

// newHorizon applies rule 8 under a deep backlog, where a careful search met no ground: what the list shows from the
// first run that is as old as ground was becomes the horizon, and what stands above it is new. If nothing is that old,
// all of the list is new.
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
		r.known.groundless = true
		return pages, nil
	}
	_, err = r.writer.commit(ctx, b, 0)
	return pages, err
}
