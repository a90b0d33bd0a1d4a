package history

import (
	"context"
	"fmt"
	"slices"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// zone holds the rows of a page from the floor's top on.
type zone struct {
	rows   map[connector.Key]struct{}
	lowest int // the place in the floor of its last message on the page
}

// farthestZone is the last page on which the floor may be, with late messages in between: it is at most a page's worth
// of messages.
const farthestZone = 3

// straysUntilTwice is how many times a message has to be out of place, while nothing else moved, to count as listed
// twice.
const straysUntilTwice = 3

// floorOn returns the rows of a page that hold the floor, in the floor's order.
func (h *History) floorOn(page connector.Page) []int {
	var rows []int
	lowest := -1
	for i := range page.Messages {
		if at, ok := h.place(page.Messages[i].Key); ok && at > lowest {
			rows, lowest = append(rows, i), at
		}
	}
	return rows
}

func (h *History) place(key connector.Key) (int, bool) {
	if _, twice := h.twice[key]; twice {
		return 0, false
	}
	at, ok := h.floor[key]
	return at, ok
}

// cut makes page 0 out of the page that shows the floor's top, by dropping what is above that.
func (h *History) cut(page connector.Page, rows []int) connector.Page {
	lowest, _ := h.place(page.Messages[rows[len(rows)-1]].Key)
	h.zones[0] = zoneOf(page.Messages[rows[0]:], lowest)
	page.Fingerprint = connector.Fingerprint(fmt.Sprintf("%d/%d/%s", h.home, rows[0], page.Fingerprint))
	page.Number = 0
	last := rows[len(rows)-1]
	page.Messages = slices.Concat(h.withoutLate(page.Messages[rows[0]:last]), page.Messages[last:])
	return page
}

// trim drops late messages at the end of a page that shows the floor. If the next page continues the floor, they were
// added late between messages of the floor. real is the page's number in the list.
func (h *History) trim(ctx context.Context, page connector.Page, real int) (connector.Page, error) {
	lowest := h.zones[page.Number].lowest
	if _, ok := h.place(page.Messages[len(page.Messages)-1].Key); ok || !h.floorBelow(lowest) {
		return page, nil
	}
	next, err := h.pages.Page(ctx, h.live, real+1, "")
	if err != nil {
		return connector.Page{}, err
	}
	for i := range next.Messages {
		if at, ok := h.place(next.Messages[i].Key); ok && at > lowest {
			page.Messages = h.withoutLate(page.Messages)
			break
		}
	}
	return page, nil
}

// floorBelow reports whether the floor continues below a place in it.
func (h *History) floorBelow(place int) bool {
	for _, at := range h.floor {
		if at > place {
			return true
		}
	}
	return false
}

func zoneOf(messages []connector.Message, lowest int) zone {
	z := zone{make(map[connector.Key]struct{}, len(messages)), lowest}
	for i := range messages {
		z.rows[messages[i].Key] = struct{}{}
	}
	return z
}

// withoutLate drops messages that were added late between messages of the floor, as the live stream delivers them. It
// keeps those that cannot become an event; otherwise no stream would quarantine them.
func (h *History) withoutLate(messages []connector.Message) []connector.Message {
	var ours []connector.Message
	for i := range messages {
		if _, ok := h.floor[messages[i].Key]; ok || messages[i].Fault != "" {
			ours = append(ours, messages[i])
		}
	}
	return ours
}

// judge returns a page below page 0 without late messages, or ErrMoved if it shows the floor where it must not be.
func (h *History) judge(ctx context.Context, number int, page connector.Page) (connector.Page, error) {
	page.Number = number
	before, goesOn := h.zones[number-1]
	if !goesOn && number > 1 && number <= farthestZone && len(h.floorOn(page)) > 0 {
		// A walk that began here has not seen whether the floor reaches down to this page.
		above, err := h.pages.Page(ctx, h.live, h.base+number-1, "")
		if err != nil {
			return connector.Page{}, err
		}
		if _, err := h.judge(ctx, number-1, above); err != nil {
			return connector.Page{}, err
		}
		before, goesOn = h.zones[number-1]
	}
	lowest, bottom, leading := -1, -1, goesOn
	for i := range page.Messages {
		key := page.Messages[i].Key
		at, ok := h.place(key)
		_, repeated := before.rows[key]
		leading = leading && repeated
		switch {
		case !ok, at <= lowest:
		case goesOn && at > before.lowest, leading && at > h.top:
			lowest, bottom = at, i
		default:
			if err := h.outOfPlace(key, h.base+number); err != nil {
				return connector.Page{}, err
			}
		}
	}
	if number == 1 {
		h.second = page.Fingerprint
	}
	if bottom >= 0 {
		h.zones[number] = zoneOf(page.Messages, max(lowest, before.lowest))
		page.Messages = slices.Concat(h.withoutLate(page.Messages[:bottom]), page.Messages[bottom:])
		return h.trim(ctx, page, h.base+number)
	}
	return page, nil
}

// outOfPlace records that a message of the floor is where it should not be: the list has moved by pages, or shows it
// twice.
func (h *History) outOfPlace(key connector.Key, real int) error {
	if h.strays[key]++; h.strays[key] > straysUntilTwice {
		h.twice[key] = struct{}{}
		return nil
	}
	h.search = newSearch(real)
	h.search.home, h.search.tried = h.home, false
	h.descent.reset()
	return reader.ErrMoved
}
