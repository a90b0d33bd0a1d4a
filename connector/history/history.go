package history

import (
	"context"
	"maps"
	"math"
	"sync"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// History shows the part of a live stream's list that its first start left out: the floor and everything below it. Page
// 0 begins with the first message of the floor that is still listed. It looks like a list to which nothing is added on
// top, so that an ordinary Reader can deliver it to a log of its own, without delivering anything of the live stream
// again. Requests are made for the live stream, so that chats have the same tokens in both logs.
//
// Page k of the history is page base+k of the list, where base is the page that showed the floor's top when the walk
// began; page 0 is cut above that top. base stays the same during a walk, except for whole pages that were added
// between two of its requests (see seam). So the list moves under the walk as any list does, and the Reader's rules
// hold. If the top is found elsewhere, the next walk begins there.
//
// Nothing above the floor gets into the history, whatever is added between two requests. A page can show messages above
// the floor only if the list has moved down by that many pages since base was found. No walk ends there: none of these
// messages is ground in the history's log, and the list does not end. Going further down, the walk has to pass the
// floor. Any message of the floor that a page then shows is out of place: only page 1 may continue the floor of page 0,
// or repeat its last rows. So the page is refused with ErrMoved, after which nothing is concluded; and the Reader
// itself refuses rows of page 0 that it meets again further down. A batch of pages that is proven to be one slice
// cannot pass the floor unnoticed. A walk page by page can do so only if, directly after more than a page was added, as
// many deletions between two requests pull all that is listed of the floor, and all of page 0, past the seam. (The
// Reader also assumes that no walk misses a whole page at one seam.)
//
// Messages that were added late between those of the floor belong to the live stream, and are left out here. One case
// remains: if all of the floor below such a message is deleted later, it looks like history.
//
// Page may also return ErrMoved, or a *Refusal if none of the floor is listed any more. A History is safe for
// concurrent use.
type History struct {
	pages connector.Pages
	live  connector.Stream
	floor map[connector.Key]int // indexes in the floor, newest first

	mu      sync.Mutex
	search  search
	home    int       // the page on which the floor's top was last found
	topTime time.Time // the time of the floor's top, or zero
	top     int       // index of the floor's first listed message; the page above shows none before it
	base    int       // page 0 of the walk in progress
	size    int       // of a full page
	// head is the seam of page 0, and seam that of the last page shown below it.
	head, seam seam
	ordered    bool // since the walk began, pages were requested in order
	high       int  // the last page requested since base was set
	descent    descent
	// zones holds the zones of the first pages, by number.
	zones  map[int]zone
	second connector.Fingerprint      // of page 1
	strays map[connector.Key]int      // how many times a message of the floor was out of place
	twice  map[connector.Key]struct{} // listed twice permanently
}

// descent is what was requested since a walk from page 0 began.
type descent struct {
	first, last int // the first and the newest page
	// shown is the home of the first page 0 of this walk, or -1. torn means that a later page 0 had another home.
	shown int
	torn  bool
}

// walkAhead is how far ahead a walk may read: more than a batch of pages. A request further down begins a new descent.
// base must not change while a batch is read, as the Reader's proof measures how far the pages moved.
const walkAhead = 64

// New returns the history below a live stream's floor, which must not be empty. checkpoint is that of the live stream;
// page is the number of messages of a full page.
func New(pages connector.Pages, live connector.Stream, checkpoint connector.Checkpoint, page int) *History {
	h := &History{
		pages: pages, live: live, floor: make(map[connector.Key]int, len(checkpoint.Floor)), size: max(1, page),
		head: seam{number: -1}, seam: seam{number: -1},
		descent: descent{first: math.MaxInt, shown: -1},
		zones:   map[int]zone{}, strays: map[connector.Key]int{}, twice: map[connector.Key]struct{}{},
	}
	for i, key := range checkpoint.Floor {
		if _, again := h.floor[key]; !again {
			h.floor[key] = i
		}
	}
	// Everything delivered since is above the floor, unless it was deleted.
	h.search = newSearch(int(checkpoint.Sequence+checkpoint.Counters.Rejected) / max(1, page))
	return h
}

// Page implements connector.Pages. It ignores the stream and the fingerprint.
func (h *History) Page(ctx context.Context, _ connector.Stream, number int, _ connector.Fingerprint) (connector.Page,
	error,
) {
	if number == 0 {
		return h.pageZero(ctx)
	}
	base, next, err := h.baseFor(ctx, number)
	if err != nil {
		return connector.Page{}, err
	}
	page, err := h.pages.Page(ctx, h.live, base+number, "")
	if err != nil {
		return connector.Page{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if base != h.base {
		return connector.Page{}, reader.ErrMoved
	}
	if next {
		if page, err = h.followSeam(ctx, number, page); err != nil {
			return connector.Page{}, err
		}
	}
	raw := page.Messages
	page, err = h.judge(ctx, number, page)
	if err == nil && len(raw) > 0 {
		h.seam = seamOf(number, raw)
	}
	return page, err
}

// pageZero returns page 0: the page with the floor's top, cut above it.
func (h *History) pageZero(ctx context.Context) (connector.Page, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	page, raw, err := h.find(ctx)
	if err != nil {
		return connector.Page{}, err
	}
	if page, err = h.trim(ctx, page, h.home); err != nil {
		return connector.Page{}, err
	}
	// The Reader concludes from an unchanged page 0 that page 1 is unchanged, as nothing is above the top of a list. Above
	// a history's top there is something: a message may have been deleted there and another one added.
	if h.descent.last == 1 && page.Fingerprint != "" {
		again, err := h.pages.Page(ctx, h.live, h.base+1, "")
		if err != nil {
			return connector.Page{}, err
		}
		if again.Fingerprint != h.second {
			page.Fingerprint += "\n" + again.Fingerprint
		}
	}
	h.descent.last = 0
	if h.descent.shown < 0 || h.descent.shown == h.home {
		h.head = seamOf(0, raw)
	}
	switch {
	case h.descent.shown < 0:
		h.descent.shown = h.home
	case h.descent.shown != h.home:
		h.descent.torn = true
	}
	return page, nil
}

// baseFor returns the page of the list that is page 0 for this request. When a walk begins it is the page with the
// floor's top; within a walk it stays. next means that pages are requested in order, and that this is the next one.
func (h *History) baseFor(ctx context.Context, number int) (base int, next bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ordered = number == 1 && h.descent.last == 0 || number < h.descent.first || h.ordered && number <= h.high+1
	next = h.ordered && (number > h.high || h.above(number).number == number-1)
	switch {
	case number == 1 && (h.descent.last == 0 || h.descent.first == 1) && h.descent.shown >= 0:
		if h.descent.torn { // it is unclear which page 0 this page continues
			h.descent.reset()
			return 0, false, reader.ErrMoved
		}
		h.setBase(h.descent.shown)
		h.descent.first, h.high = 1, max(1, h.highOf(1))
	case number < h.descent.first:
		if _, _, err := h.find(ctx); err != nil {
			return 0, false, err
		}
		h.setBase(h.home)
		h.descent.first, h.high = number, number
	case number > h.high+walkAhead:
		h.descent.first, h.high = number, number
	default:
		h.high = max(h.high, number)
	}
	h.descent.last = number
	return h.base, next, nil
}

// setBase sets base, and drops what is known about pages with another base.
func (h *History) setBase(base int) {
	if base != h.base {
		maps.DeleteFunc(h.zones, func(number int, _ zone) bool { return number > 0 })
		h.seam.number = -1
	}
	h.base = base
}

// highOf is the last page requested by a walk that began at page first.
func (h *History) highOf(first int) int {
	if h.descent.first != first {
		return first
	}
	return h.high
}

// reset forgets which page 0 was shown: the next walk from there reads it again.
func (d *descent) reset() { d.shown, d.torn, d.first, d.last = -1, false, math.MaxInt, 0 }
