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

// History shows of a live stream's list what its first start left out: the floor and all below it, page 0 beginning
// with the floor's first listed message. It makes Pages of a list that nothing is added to on top, so that the ordinary
// Reader reads it into a log of its own, beside the live one and without doubling anything. Requests are made for the
// live stream: chats have the same tokens in both logs.
//
// Page k of it is page base+k of the list, where base is the page that showed the floor's top when a walk began; page 0
// is cut above that top. While a walk goes on base stays, except for whole pages that came in between two of its
// requests (see seam), so the list moves under the walk as any list does, and the Reader's rules hold. When the top is
// found elsewhere, the next walk begins there.
//
// Nothing above the floor comes into the history, whatever is added between two requests. A page may show messages
// above the floor only if the list has moved down by so many pages since base was found. No walk ends there: none of
// them is ground in the history's log, and the list does not end. Going on down, the walk must pass the floor. Whatever
// message of the floor a page then shows is out of place: only page 1 may go on with a floor that page 0 began, or
// repeat the rows that page 0 ended with. So the page is refused with ErrMoved, which concludes nothing; and the rows
// of page 0, met again further down, are the Reader's own reason to say the same. A batch of pages that holds as one
// slice cannot pass the floor unseen at all. A walk in order could only if all that is listed of the floor, and all of
// page 0, is pulled past the seam between two requests by as many deletes, right after more than a page was added. (The
// Reader itself supposes that no walk misses a whole page at one seam.)
//
// Messages that came in late between those of the floor are the live stream's, and are left out here. The one residue:
// where all of the floor below such a message is deleted later on, nothing tells it from history.
//
// Page may also return ErrMoved, or a *Refusal where none of the floor is listed. A History may be used by several
// goroutines.
type History struct {
	pages connector.Pages
	live  connector.Stream
	floor map[connector.Key]int // places in the floor, newest first

	mu      sync.Mutex
	search  search
	home    int       // the page that showed the floor's top last
	topTime time.Time // its message's, zero where it has none
	top     int       // place of the first that is listed; those before it were looked for on the page above, in vain
	base    int       // page 0 of the walk under way
	size    int       // of a full page
	// head is the seam of page 0, seam that of the page below it that was shown last.
	head, seam seam
	ordered    bool // pages were asked for one after the other since a walk began
	high       int  // the last of the pages asked for since base was set
	descent    descent
	// zones holds, of the first pages, what they showed of the floor.
	zones  map[int]zone
	second connector.Fingerprint      // of page 1
	strays map[connector.Key]int      // how often a message of the floor stood out of place while its top stayed
	twice  map[connector.Key]struct{} // listed twice for good
}

// descent is what was asked for since a walk from page 0 began.
type descent struct {
	first, last int // the first and the newest page
	// shown is home as of the first page 0 that was shown since a walk from there had to begin again; torn says that
	// another page 0 was shown from elsewhere.
	shown int
	torn  bool
}

// walkAhead is how far a walk may read ahead of itself: more than a batch of pages. A request further down begins
// something new. base must not change while a batch is read, as the Reader proves it by how far its pages moved.
const walkAhead = 64

// New makes the history below a live stream's floor, which is not empty. checkpoint is the live stream's, page how many
// messages a full page has.
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
	// What was delivered since lies above the floor, except for what was deleted.
	h.search = newSearch(int(checkpoint.Sequence+checkpoint.Counters.Rejected) / max(1, page))
	return h
}

// Page implements Pages; it ignores the stream and the fingerprint.
func (h *History) Page(ctx context.Context, _ connector.Stream, number int, _ connector.Fingerprint) (connector.Page,
	error,
) {
	if number == 0 {
		return h.zero(ctx)
	}
	base, next, err := h.enter(ctx, number)
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
		if page, err = h.goOn(ctx, number, page); err != nil {
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

// zero is page 0: the real page with the floor's top, cut above it.
func (h *History) zero(ctx context.Context) (connector.Page, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	page, raw, err := h.find(ctx)
	if err != nil {
		return connector.Page{}, err
	}
	if page, err = h.trim(ctx, page, h.home); err != nil {
		return connector.Page{}, err
	}
	// The Reader takes an unchanged page 0 for proof that page 1 stood still, as nothing lies above a list's top. Here
	// something does: a message may have been deleted there and another one added.
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

// enter says which page of the list is page 0 for a request of page number. Where a walk begins it is the one with the
// floor's top; within a walk it stays. next says that pages are asked for one after the other, and this is the next
// one.
func (h *History) enter(ctx context.Context, number int) (base int, next bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ordered = number == 1 && h.descent.last == 0 || number < h.descent.first || h.ordered && number <= h.high+1
	next = h.ordered && (number > h.high || h.above(number).number == number-1)
	switch {
	case number == 1 && (h.descent.last == 0 || h.descent.first == 1) && h.descent.shown >= 0:
		if h.descent.torn { // which page 0 does this page go on from?
			h.descent.begin()
			return 0, false, reader.ErrMoved
		}
		h.from(h.descent.shown)
		h.descent.first, h.high = 1, max(1, h.highOf(1))
	case number < h.descent.first:
		if _, _, err := h.find(ctx); err != nil {
			return 0, false, err
		}
		h.from(h.home)
		h.descent.first, h.high = number, number
	case number > h.high+walkAhead:
		h.descent.first, h.high = number, number
	default:
		h.high = max(h.high, number)
	}
	h.descent.last = number
	return h.base, next, nil
}

// from sets base.
func (h *History) from(base int) {
	if base != h.base {
		maps.DeleteFunc(h.zones, func(number int, _ zone) bool { return number > 0 })
		h.seam.number = -1
	}
	h.base = base
}

// highOf is how far a walk that began at a page has come.
func (h *History) highOf(first int) int {
	if h.descent.first != first {
		return first
	}
	return h.high
}

// begin forgets which page 0 was shown: the next walk from there reads it again.
func (d *descent) begin() { d.shown, d.torn, d.first, d.last = -1, false, math.MaxInt, 0 }
