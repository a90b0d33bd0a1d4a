package history

import (
	"context"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// Extent estimates how much history there is: how many pages down to the end of the list, or to where everything is
// older than start wants, and how many messages are on them. It reads only a few pages. Errors are those of Page.
func (h *History) Extent(ctx context.Context, start connector.Start) (pages, messages int, err error) {
	top, err := h.pageZero(ctx)
	if err != nil {
		return 0, 0, err
	}
	h.mu.Lock()
	home := h.home
	h.mu.Unlock()
	size, last := 0, len(top.Messages)
	unwanted := func(messages []connector.Message) bool {
		return len(messages) == 0 || !start.Beginning && reader.AllOlder(messages, func(t time.Time) bool {
			return t.Before(start.Since)
		})
	}
	if unwanted(top.Messages) {
		return 0, 0, nil
	}
	b := reader.NewSearchBounds(reader.MaxSearchPages)
	low, high := 0, 0 // the end is below low, and at or above high once that is known
	for high == 0 || high-low > 1 {
		number := 2 * max(1, low)
		if high > 0 {
			number = low + (high-low)/2
		}
		if err := b.Allow(home + number); err != nil {
			return 0, 0, err
		}
		page, err := h.pages.Page(ctx, h.live, home+number, "")
		if err == nil && high == 0 && !unwanted(page.Messages) {
			err = b.Note(number, page)
		}
		if err != nil {
			return 0, 0, err
		}
		size = max(size, len(page.Messages))
		if unwanted(page.Messages) {
			high = number
		} else {
			low, last = number, len(page.Messages)
		}
	}
	end := high
	if end == 1 {
		return 1, len(top.Messages), nil
	}
	return end, len(top.Messages) + (end-2)*size + last, nil
}
