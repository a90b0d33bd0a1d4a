package reader

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// found is a message that a walk met. It points into its page, and so keeps the whole page in memory.
type found struct {
	*connector.Message
	received time.Time
}

// walked is the result of a walk: distinct messages, newest first, without known rejects.
type walked struct {
	order []found
	pages int
	page0 connector.Fingerprint
	// newest is the time of the newest message on page 0, if it has one; listed are the keys of page 0, if acceptance
	// needs them.
	newest time.Time
	listed connector.Keys
	// proven: the pages are one slice of the list, or a chain of slices, so that the walk certifies itself.
	proven bool
	// taken counts the pages of the walk, including the empty one at the end of the list.
	taken int
	// longest is the longest run of ground in the walk.
	longest int
	// repeats counts messages that a page repeated from the page before, which is how far the list is known to have moved
	// down.
	repeats int
	// movedUp: the walk began below page 0, and its first message is higher than expected, as something above was deleted.
	movedUp bool
	// belowTop: the walk began, or may have begun, below events of the log, so that nothing in it is newer than all of
	// them.
	belowTop bool
	// horizon is set if the walk ended without ground: the newest of what is held. newer is set if rows that are newer
	// than this time are below the horizon.
	horizon connector.Keys
	newer   time.Time
	// gap is the last empty page in the middle of the walk, if there is one. gapDoubted means that it is not believed yet.
	gap        *connector.Page
	gapDoubted bool
	// endPage is the page at which the list ended, or 0 if the walk did not get there. short means that the last page was
	// not full.
	endPage int
	short   bool
}

// errDeep means that a slice's worth of pages showed neither enough ground nor the end of the list.
var errDeep = errors.New("no ground within a slice")

// errGroundGone means that a careful search met no ground either: the list was replaced while a deep backlog was read.
var errGroundGone = errors.New("the list shows no ground")

// walker is a walk in progress.
type walker struct {
	walked
	reader *Reader
	enough int // how much ground in a row ends it
	met    map[connector.Key]struct{}
	run    int
	bytes  int
	same   int
	top    connector.Page // the first page that is not empty
	before connector.Page // the newest page taken
	below  connector.Page // what was below it, if the list did not end there after all
	shown  int            // rows on the last page of a batch, repeated ones included
	second bool           // the first attempt by batches failed
	again  bool           // make that second attempt
}

func (r *Reader) newWalker() *walker {
	return &walker{reader: r, enough: r.ends.enough(), met: make(map[connector.Key]struct{}, 2*r.rules.Page)}
}

// walk reads pages start, start+1, … down to a run of ground messages (or of all the ground there is) or the end of the
// list (rule 3). first is page 0 if it was read already. It reads batches of pages in parallel as long as they are
// proven to be slices of the list.
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

// walkInOrder reads page after page. It starts from scratch, as nothing may be concluded from a batch that was not
// proven.
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
			if err := r.ends.verifyTopAtEnd(ctx, w); err != nil {
				return w.walked, err
			}
			return w.walked, w.concludeAtEnd(ctx, page)
		default:
			w.taken++
			w.gap = &page
			continue
		}
		if done, err := w.addPage(page); done {
			return w.walked, r.ends.verifyTop(ctx, w)
		} else if err != nil {
			return w.walked, err
		}
	}
}

// addPage adds a page that is not empty to the walk and reports whether its ground ends the walk.
func (w *walker) addPage(page connector.Page) (bool, error) {
	if w.taken++; len(w.top.Messages) == 0 {
		w.top = page // there may be a gap above it
		if w.taken == 1 && w.reader.progress.start == 0 {
			w.page0, w.newest = page.Fingerprint, newestTime(page.Messages)
			w.listed = w.reader.acceptance.topOf(page)
		}
	}
	w.bytes += page.Bytes
	if w.same = repeated(w.before, page, w.same); w.same >= 2 {
		return false, Stalled("page %d shows the same as the two above it: the page number is ignored, or cut to the last page", page.Number)
	}
	if w.taken > 1 && newerThan(page.Messages, w.before.Messages) && !w.reader.known.ignoring(page.Messages[0].Key) {
		// The API returned a page from further up than the one requested. In a deep backlog nothing else would show that.
		return false, w.reader.known.outOfPlace(page.Messages[0].Key)
	}
	err := w.addMessages(page)
	w.before = page
	return err == nil && w.run >= w.enough, err
}

// repeated counts how many times in a row a page was the same as the one before it.
func repeated(before, page connector.Page, same int) int {
	if len(before.Messages) == 0 || !sameRows(before.Messages, page.Messages) {
		return 0
	}
	return same + 1
}

// addMessages adds a page's messages to the walk and counts the run of ground, down to where the run is long enough. A
// message that was met before may only be at the head of its page, and only come from the page before: anything else
// means that the list moved by a page or more, and later pages may be newer than earlier ones.
func (w *walker) addMessages(page connector.Page) error {
	r := w.reader
	r.known.recognise(page.Messages)
	onPage := make(map[connector.Key]struct{}, len(page.Messages))
	fresh := false
	for i := range page.Messages {
		m := &page.Messages[i]
		if _, twice := onPage[m.Key]; twice {
			continue // a page is one slice (rule 1), so this row is listed twice permanently
		}
		onPage[m.Key] = struct{}{}
		if _, again := w.met[m.Key]; again {
			switch {
			case m.Fault != "" || r.known.ignoring(m.Key):
			case fresh || !lists(w.before, m.Key):
				return r.known.outOfPlace(m.Key)
			default:
				w.repeats++
			}
			continue
		}
		fresh = true
		if w.run >= w.enough {
			continue // the walk ends here, but the rest of the page still shows whether the list moved
		}
		w.met[m.Key] = struct{}{}
		if setAside(&r.known, m.Key) {
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
	}
	return nil
}

// newerThan reports whether all messages of a page are newer than those of the page above it, provided that that one is
// ordered from newer to older. Messages without a time are ignored. It is only a hint that the list has moved.
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
