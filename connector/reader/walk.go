package reader

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// found is a message where a walk met it. It lies in its page, and keeps that in memory.
type found struct {
	*connector.Message
	received time.Time
}

// walked is what a walk met: distinct messages, newest first; known rejects are left out.
type walked struct {
	order []found
	pages int
	page0 connector.Fingerprint
	// newest is the time of the newest message on page 0, where it has one; listed is what page 0 showed, where that is
	// asked for.
	newest time.Time
	listed connector.Keys
	// proven: the pages are one instant's slice of the list, or a chain of such, so that the walk certifies itself.
	proven bool
	// taken counts the pages that the walk consists of, the empty one at the end of the list included.
	taken int
	// longest is the longest run of ground that it met.
	longest int
	// repeats counts messages that a page repeated from the page before: how far the list is known to have moved down.
	repeats int
	// movedUp: the walk began below page 0, and what it began with stands higher than it should: something above was
	// deleted.
	movedUp bool
	// belowTop: the walk began below events of the log, or may have: nothing that it met is newer than all of them.
	belowTop bool
	// horizon is set where the walk ended without ground: the newest of what is held. newer is set where some of the walk
	// that is newer than this stands below that.
	horizon connector.Keys
	newer   time.Time
	// gap is the last empty page in the middle of the walk, where there is one; hollow: that is not believed yet.
	gap    *connector.Page
	hollow bool
	// bottom is the page at which the list ended, where the walk went as far; else 0. short: the last page was not full.
	bottom int
	short  bool
}

// errDeep: a slice's worth of pages showed neither enough ground nor the end of the list.
var errDeep = errors.New("no ground within a slice")

// errGroundGone: the careful search met no ground either; the list has changed identity under a deep backlog.
var errGroundGone = errors.New("the list shows no ground")

// walker is a walk under way.
type walker struct {
	walked
	reader *Reader
	enough int // how much ground in a row ends it
	met    map[connector.Key]struct{}
	run    int
	bytes  int
	same   int
	top    connector.Page // the first page
	before connector.Page // the newest page taken
	below  connector.Page // what stood below it, where the list did not end there after all
	shown  int            // rows on the last page of a batch, those that it repeats included
	second bool           // the first attempt by batches failed
	again  bool           // make that second attempt
}

func (r *Reader) newWalker() *walker {
	return &walker{reader: r, enough: r.ends.enough(), met: make(map[connector.Key]struct{}, 2*r.rules.Page)}
}

// walk reads pages start, start+1, … down to a run of ground messages (or of all the ground there is) or the end of the
// list. first is page 0 where it is read already. Where batches of pages are proven to be slices of the list it reads
// them side by side.
func (r *Reader) walk(ctx context.Context, first *connector.Page) (walked, error) {
	pages := 0
	for second := false; ; second = true {
		w := r.newWalker()
		w.pages, w.second = pages, second
		if proven, err := w.inParallel(ctx, first); proven || err != nil {
			return w.walked, err
		}
		if pages = w.pages; !w.again {
			return r.walkInOrder(ctx, pages, first)
		}
	}
}

// walkInOrder reads page after page, from scratch: what a batch of pages showed that is no slice counts for nothing.
func (r *Reader) walkInOrder(ctx context.Context, pages int, first *connector.Page) (walked, error) {
	w := r.newWalker()
	w.pages = pages
	for number := r.progress.start; ; number++ {
		if number-r.progress.start >= r.progress.slice {
			return w.walked, errDeep
		}
		if w.bytes > r.rules.SliceBytes && number-r.progress.start >= 2 {
			r.progress.slice = number - r.progress.start
			return w.walked, errDeep
		}
		if err := r.prefetch.checkMemory(number - r.progress.start + 1); err != nil {
			return w.walked, err
		}
		page, ends := connector.Page{}, true
		if number == 0 && first != nil {
			page, first = *first, nil
		} else {
			var err error
			if page, ends, err = r.list.page(ctx, number); err != nil {
				return w.walked, err
			}
		}
		w.pages++
		switch {
		case len(page.Messages) > 0:
		case ends:
			return w.walked, w.ended(ctx, page)
		default:
			w.taken++
			w.gap = &page
			continue
		}
		if done, err := w.take(page); done {
			return w.walked, r.ends.verifyTop(ctx, w)
		} else if err != nil {
			return w.walked, err
		}
	}
}

// take adds a page that is not empty to the walk and says whether its ground ends the walk.
func (w *walker) take(page connector.Page) (bool, error) {
	if w.taken++; w.taken == 1 {
		w.top = page
		if w.reader.progress.start == 0 {
			w.page0, w.newest = page.Fingerprint, newestTime(page.Messages)
			w.listed = w.reader.acceptance.topOf(page)
		}
	}
	w.bytes += page.Bytes
	if w.same = repeated(w.before, page, w.same); w.same >= 2 {
		return false, Stalled("page %d shows the same as the two above it: the page number is ignored, or cut to the last page", page.Number)
	}
	if w.taken > 1 && newerThan(page.Messages, w.before.Messages) && !w.reader.known.ignoring(page.Messages[0].Key) {
		// Another page than the one asked for, from further up: nothing else in a deep backlog would tell.
		return false, w.reader.known.moved(page.Messages[0].Key)
	}
	err := w.meet(page)
	w.before = page
	return w.run >= w.enough, err
}

// repeated counts how often in a row a page was the same as the one before it.
func repeated(before, page connector.Page, same int) int {
	if len(before.Messages) == 0 || !sameRows(before.Messages, page.Messages) {
		return 0
	}
	return same + 1
}

// meet adds a page's messages to the walk and counts the run of ground; it stops within the page where the run is long
// enough. A message met before may only lead its page, and only come from the page before: anything else means that the
// list moved by a page or more, and later pages may be newer than earlier ones.
func (w *walker) meet(page connector.Page) error {
	r := w.reader
	r.known.recognise(page.Messages)
	onPage := make(map[connector.Key]struct{}, len(page.Messages))
	fresh := false
	for i := range page.Messages {
		m := &page.Messages[i]
		if _, twice := onPage[m.Key]; twice {
			continue // one page is one instant's slice: this row is listed twice for good
		}
		onPage[m.Key] = struct{}{}
		if _, again := w.met[m.Key]; again {
			switch {
			case m.Fault != "" || r.known.ignoring(m.Key):
			case fresh || !lists(w.before, m.Key):
				return r.known.moved(m.Key)
			default:
				w.repeats++
			}
			continue
		}
		w.met[m.Key] = struct{}{}
		fresh = true
		if r.known.rejects.has(m.Key) {
			continue // neither counts nor breaks a run
		}
		w.order = append(w.order, found{m, page.Received})
		switch {
		case r.ends.bottom(m.Key):
			w.run++
			w.longest = max(w.longest, w.run)
		case !r.known.has(m.Key), r.known.inOrder(m.Key):
			w.run = 0
		}
		if w.run >= w.enough {
			break
		}
	}
	return nil
}

// newerThan says whether all that has a time on a page is newer than all on the page above it, where that goes from
// newer to older. Times decide nothing: it is a hint that the list has moved.
func newerThan(page, above []connector.Message) bool {
	var first, last, newest time.Time
	for i := range above {
		t := above[i].Time
		if t.IsZero() {
			continue
		}
		if last = t; first.IsZero() {
			first = t
		}
		if t.After(newest) {
			newest = t
		}
	}
	return first.After(last) && AllOlder(page, func(t time.Time) bool { return t.After(newest) })
}

func lists(page connector.Page, key connector.Key) bool {
	return slices.ContainsFunc(page.Messages, func(m connector.Message) bool { return m.Key == key })
}
