package connector

import (
	"context"
	"slices"
	"time"
)

// Sweep looks for late arrivals below ground, page by page, down to the depth of the rules before now. Late is what lies on
// one page between a known message above and, below it, a known one that was delivered in order and above which nothing was
// forgotten. Nothing else is guessed. It does nothing while a backlog is being worked off. One call reads a few pages; More
// says that the next one goes on below them. Errors are as Poll's.
func (r *Reader) Sweep(ctx context.Context, now time.Time) (Outcome, error) {
	var out Outcome
	if !r.recorded.Started || r.start > 0 {
		return out, nil
	}
	for range max(1, r.rules.SweepStep) {
		number := r.swept
		if number >= r.rules.SweepPages {
			break
		}
		page, err := r.read(ctx, number, "")
		if err != nil {
			return out, err
		}
		out.Pages++
		if number == 0 {
			out.Newest = newestTime(page.Messages)
		}
		if len(page.Messages) == 0 {
			r.swept = 0
			return out, nil
		}
		b := r.lateOn(page)
		done, err := r.commit(ctx, b, 0)
		out.add(done)
		if err != nil {
			return out, err
		}
		if allOlder(page.Messages, now.Add(-r.rules.SweepDepth).After) {
			r.swept = 0
			return out, nil
		}
		r.swept++
	}
	if out.More = r.swept < r.rules.SweepPages; !out.More {
		r.swept = 0
	}
	return out, nil
}

// lateOn finds the late arrivals of one page.
func (r *Reader) lateOn(page Page) batch {
	var b batch
	bottom := -1
	for i, anchor := range r.anchors(len(page.Messages), func(i int) Key { return page.Messages[i].Key }) {
		if anchor && r.wholeAbove(page.Messages[i].Key) && r.wellRemembered(page.Messages[i].Key) {
			bottom = i
		}
	}
	below := false
	for i := range page.Messages[:max(0, bottom)] {
		m := &page.Messages[i]
		switch {
		case r.ground(m.Key):
			below = true
		case below && !r.known(m.Key) && !r.rejects.has(m.Key) && !listedAbove(page.Messages[:i], m.Key):
			b.add(&found{m, page.Received}, true)
		}
	}
	b.oldestFirst()
	return b
}

// wellRemembered says whether a message lies a page above where the window begins, or the window begins with the log. A row
// that is listed twice, up to a page apart, may be forgotten at the one place and stand above the window's edge at the other.
func (r *Reader) wellRemembered(key Key) bool {
	at, ok := r.window.place(key)
	return !ok || r.window.oldest() <= 1 || at.sequence() >= r.window.oldest()+uint64(r.rules.Page)
}

// listedAbove says whether a row of the page stands in it twice.
func listedAbove(messages []Message, key Key) bool {
	return slices.ContainsFunc(messages, func(m Message) bool { return m.Key == key })
}
