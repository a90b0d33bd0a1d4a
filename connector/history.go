package connector

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"
)

// HistoryStream is the stream that takes what a live stream's first start left out: the same list under another name, with a
// source key of its own, as the two hold different messages of it.
func HistoryStream(live Stream) Stream {
	s := live
	s.Name += "-history"
	s.SourceKey = SourceKey(live.SourceKey, "history", "")
	return s
}

// History shows of a live stream's list what its first start left out: the floor and all below it, page 0 beginning with the
// floor's first listed message. It makes Pages of a list that nothing is added to on top, so that the ordinary Reader reads
// it into a log of its own, beside the live one and without doubling anything. Requests are made for the live stream: chats
// have the same tokens in both logs.
//
// Page k of it is page base+k of the list, where base is the page that showed the floor's top when a walk began; page 0 is cut
// above that top. While a walk goes on base stays, so the list moves under the walk as any list does, and the Reader's rules
// hold. When the top is found elsewhere, the next walk begins there.
//
// Nothing above the floor comes into the history, whatever is added between two requests. A page may show messages above the
// floor only if the list has moved down by so many pages since base was found. No walk ends there: none of them is ground in
// the history's log, and the list does not end. Going on down, the walk must pass the floor. Whatever message of the floor a
// page then shows is out of place: only page 1 may go on with a floor that page 0 began, or repeat the rows that page 0 ended
// with. So the page is refused with ErrMoved, which concludes nothing; and the rows of page 0, met again further down, are
// the Reader's own reason to say the same. A group of pages that holds as one slice cannot pass the floor
// unseen at all. A walk in order could only if all that is listed of the floor, and all of page 0, is pulled past the seam
// between two requests by as many deletes, right after more than a page was added. (The Reader itself supposes that no walk
// misses a whole page at one seam.)
//
// Messages that came in late between those of the floor are the live stream's, and are left out here. The one residue: where
// all of the floor below such a message is deleted later on, nothing tells it from history.
//
// Page may also return ErrMoved, or a *Refusal where none of the floor is listed. A History may be used by several goroutines.
type History struct {
	pages Pages
	live  Stream
	floor map[Key]int // places in the floor, newest first

	mu     sync.Mutex
	search search
	home   int // the page that showed the floor's top last
	top    int // place of the first that is listed; those before it were looked for on the page above, in vain
	base   int // page 0 of the walk under way
	// first and high bound the pages asked for since base was set; last is the newest one asked for.
	first, high, last int
	// shown is home as of the first page 0 that was shown since a walk from there had to begin again; torn says that another
	// page 0 was shown from elsewhere.
	shown int
	torn  bool
	// zones holds, of the first pages, what they showed of the floor.
	zones  map[int]zone
	second Fingerprint      // of page 1
	strays map[Key]int      // how often a message of the floor stood out of place while its top stayed
	twice  map[Key]struct{} // listed twice for good
}

// zone is what a page showed from the floor's top on.
type zone struct {
	rows   map[Key]struct{}
	lowest int // place in the floor of the last one shown
}

// farthestZone is the last page on which the floor, at most a page's worth, may stand with all that came in late between.
const farthestZone = 3

// straysUntilTwice is how often a message must stand out of place, while nothing else moved, to count as listed twice.
const straysUntilTwice = 3

// walkAhead is how far a walk may read ahead of itself. A request further down begins something new.
const walkAhead = 30

// NewHistory makes the history below a live stream's floor, which is not empty. checkpoint is the live stream's, page how many
// messages a full page has.
func NewHistory(pages Pages, live Stream, checkpoint Checkpoint, page int) *History {
	h := &History{
		pages: pages, live: live, floor: make(map[Key]int, len(checkpoint.Floor)), first: math.MaxInt, shown: -1,
		zones: map[int]zone{}, strays: map[Key]int{}, twice: map[Key]struct{}{},
	}
	for i, key := range checkpoint.Floor {
		if _, again := h.floor[key]; !again {
			h.floor[key] = i
		}
	}
	// What was delivered since lies above the floor, but for what was deleted.
	h.search = newSearch(int(checkpoint.Sequence+checkpoint.Counters.Rejected) / max(1, page))
	return h
}

// Page implements Pages; it ignores the stream and the fingerprint.
func (h *History) Page(ctx context.Context, _ Stream, number int, _ Fingerprint) (Page, error) {
	if number == 0 {
		return h.zero(ctx)
	}
	base, err := h.enter(ctx, number)
	if err != nil {
		return Page{}, err
	}
	page, err := h.pages.Page(ctx, h.live, base+number, "")
	if err != nil {
		return Page{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if base != h.base {
		return Page{}, ErrMoved
	}
	return h.judge(ctx, number, page)
}

// zero is page 0: the real page with the floor's top, cut above it.
func (h *History) zero(ctx context.Context) (Page, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	page, err := h.find(ctx)
	if err != nil {
		return Page{}, err
	}
	if page, err = h.trim(ctx, page, h.home); err != nil {
		return Page{}, err
	}
	// The Reader takes an unchanged page 0 for proof that page 1 stood still, as nothing lies above a list's top. Here
	// something does: a message may have been deleted there and another one added.
	if h.last == 1 && page.Fingerprint != "" {
		again, err := h.pages.Page(ctx, h.live, h.base+1, "")
		if err != nil {
			return Page{}, err
		}
		if again.Fingerprint != h.second {
			page.Fingerprint += "\n" + again.Fingerprint
		}
	}
	h.last = 0
	switch {
	case h.shown < 0:
		h.shown = h.home
	case h.shown != h.home:
		h.torn = true
	}
	return page, nil
}

// enter says which page of the list is page 0 for a request of page number. Where a walk begins it is the one with the floor's
// top; within a walk it stays.
func (h *History) enter(ctx context.Context, number int) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case number == 1 && (h.last == 0 || h.first == 1) && h.shown >= 0:
		if h.torn { // which page 0 does this page go on from?
			h.begin()
			return 0, ErrMoved
		}
		h.from(h.shown)
		h.first, h.high = 1, max(1, h.highOf(1))
	case number < h.first:
		if _, err := h.find(ctx); err != nil {
			return 0, err
		}
		h.from(h.home)
		h.first, h.high = number, number
	case number > h.high+walkAhead:
		h.first, h.high = number, number
	default:
		h.high = max(h.high, number)
	}
	h.last = number
	return h.base, nil
}

// from sets base.
func (h *History) from(base int) {
	if base != h.base {
		maps.DeleteFunc(h.zones, func(number int, _ zone) bool { return number > 0 })
	}
	h.base = base
}

// highOf is how far a walk that began at a page has come.
func (h *History) highOf(first int) int {
	if h.first != first {
		return first
	}
	return h.high
}

// begin forgets which page 0 was shown: the next walk from there reads it anew.
func (h *History) begin() { h.shown, h.torn, h.first, h.last = -1, false, math.MaxInt, 0 }

// find reads the page on which the floor's top lies, cut above it: first where it was last, then around there.
func (h *History) find(ctx context.Context) (Page, error) {
	for {
		number, ok := h.search.next()
		if !ok {
			return Page{}, &Refusal{
				"stream " + h.live.Name, "none of the messages that were newest when it first started is listed any more, so that nothing tells what is history",
				"export what is missing by other means, or start a new stream under another name with `start: beginning`",
			}
		}
		page, err := h.pages.Page(ctx, h.live, number, "")
		if err != nil {
			return Page{}, err
		}
		rows := h.floorOn(page)
		if len(rows) == 0 {
			h.search.missed(number, len(page.Messages) == 0)
			continue
		}
		top := h.floor[page.Messages[rows[0]].Key]
		if number > 0 && top > h.top {
			// Those before it are deleted, or stand on the page above.
			above, err := h.pages.Page(ctx, h.live, number-1, "")
			if err != nil {
				return Page{}, err
			}
			if len(h.floorOn(above)) > 0 {
				number--
			} else {
				h.top = top
			}
			h.search = newSearch(number)
			continue
		}
		h.search = newSearch(number)
		if number != h.home {
			clear(h.strays)
		}
		h.home, h.top = number, top
		return h.cut(page, rows), nil
	}
}

// floorOn lists the rows of a page on which the floor stands: each further down in the floor than the one above.
func (h *History) floorOn(page Page) []int {
	var rows []int
	lowest := -1
	for i := range page.Messages {
		if at, ok := h.place(page.Messages[i].Key); ok && at > lowest {
			rows, lowest = append(rows, i), at
		}
	}
	return rows
}

func (h *History) place(key Key) (int, bool) {
	if _, twice := h.twice[key]; twice {
		return 0, false
	}
	at, ok := h.floor[key]
	return at, ok
}

// cut makes page 0 of the page that shows the floor's top.
func (h *History) cut(page Page, rows []int) Page {
	lowest, _ := h.place(page.Messages[rows[len(rows)-1]].Key)
	h.zones[0] = zoneOf(page.Messages[rows[0]:], lowest)
	page.Fingerprint = Fingerprint(fmt.Sprintf("%d/%d/%s", h.home, rows[0], page.Fingerprint))
	page.Number = 0
	page.Messages = slices.Concat(h.ours(page.Messages[rows[0]:rows[len(rows)-1]]), page.Messages[rows[len(rows)-1]:])
	return page
}

// trim leaves out of a page that shows the floor what may have come in late at its end, between messages of the floor: whether
// it did, the next page shows. real is the page's number in the list.
func (h *History) trim(ctx context.Context, page Page, real int) (Page, error) {
	lowest := h.zones[page.Number].lowest
	if _, ok := h.place(page.Messages[len(page.Messages)-1].Key); ok || !h.floorBelow(lowest) {
		return page, nil
	}
	next, err := h.pages.Page(ctx, h.live, real+1, "")
	if err != nil {
		return Page{}, err
	}
	for i := range next.Messages {
		if at, ok := h.place(next.Messages[i].Key); ok && at > lowest {
			page.Messages = h.ours(page.Messages)
			break
		}
	}
	return page, nil
}

// floorBelow says whether the floor goes on below a place in it.
func (h *History) floorBelow(place int) bool {
	for _, at := range h.floor {
		if at > place {
			return true
		}
	}
	return false
}

func zoneOf(messages []Message, lowest int) zone {
	z := zone{make(map[Key]struct{}, len(messages)), lowest}
	for i := range messages {
		z.rows[messages[i].Key] = struct{}{}
	}
	return z
}

// ours leaves out what came in late between messages of the floor: the live stream delivers it. What cannot become an event
// stays, or it would go to no quarantine.
func (h *History) ours(messages []Message) []Message {
	var ours []Message
	for i := range messages {
		if _, ok := h.floor[messages[i].Key]; ok || messages[i].Fault != "" {
			ours = append(ours, messages[i])
		}
	}
	return ours
}

// judge says whether a page below page 0 shows the floor only where it may.
func (h *History) judge(ctx context.Context, number int, page Page) (Page, error) {
	page.Number = number
	before, goesOn := h.zones[number-1]
	if !goesOn && number > 1 && number <= farthestZone && len(h.floorOn(page)) > 0 {
		// A walk that began here has not seen whether the floor came down to this page.
		above, err := h.pages.Page(ctx, h.live, h.base+number-1, "")
		if err != nil {
			return Page{}, err
		}
		if _, err := h.judge(ctx, number-1, above); err != nil {
			return Page{}, err
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
			if err := h.stray(key, h.base+number); err != nil {
				return Page{}, err
			}
		}
	}
	if number == 1 {
		h.second = page.Fingerprint
	}
	if bottom >= 0 {
		h.zones[number] = zoneOf(page.Messages, max(lowest, before.lowest))
		page.Messages = slices.Concat(h.ours(page.Messages[:bottom]), page.Messages[bottom:])
		return h.trim(ctx, page, h.base+number)
	}
	return page, nil
}

// stray notes that a message of the floor stands where it should not: the list has moved by pages, or shows it twice.
func (h *History) stray(key Key, real int) error {
	if h.strays[key]++; h.strays[key] > straysUntilTwice {
		h.twice[key] = struct{}{}
		return nil
	}
	h.search = newSearch(real)
	h.search.home, h.search.tried = h.home, false
	h.begin()
	return ErrMoved
}

// Extent says roughly how much history there is: how many pages down to the end of the list, or to where all is older than
// start wants, and how many messages are on them. It reads few pages.
func (h *History) Extent(ctx context.Context, start Start) (pages, messages int, err error) {
	top, err := h.zero(ctx)
	if err != nil {
		return 0, 0, err
	}
	h.mu.Lock()
	home := h.home
	h.mu.Unlock()
	size, last := 0, len(top.Messages)
	unwanted := func(messages []Message) bool {
		return len(messages) == 0 || !start.Beginning && allOlder(messages, func(t time.Time) bool { return t.Before(start.Since) })
	}
	if unwanted(top.Messages) {
		return 0, 0, nil
	}
	low, high := 0, 0 // the end lies below low, and at or above high where that is known
	for high == 0 || high-low > 1 {
		number := 2 * max(1, low)
		if high > 0 {
			number = low + (high-low)/2
		}
		page, err := h.pages.Page(ctx, h.live, home+number, "")
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
