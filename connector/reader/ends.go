package reader

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Suspicion says that the list seems to end, or a page to be empty, where that is extraordinary: it shows nothing of
// what the log holds, or more below. A bad backend or a filter looks just like a chat that was cleared, so nothing is
// certified until it was seen in several looks over some minutes. It is no error of the list: look again.
type Suspicion struct {
	// Page is the page that was empty; 0 where the whole list seems to be.
	Page int
	// Hollow says that the list goes on below the page.
	Hollow bool
	// Since is when that was seen first, Looks how often the whole of it was looked at since.
	Since time.Time
	Looks int
	// Next is how long it takes until another look counts.
	Next time.Duration
}

func (s *Suspicion) Error() string {
	switch {
	case s.Hollow:
		return fmt.Sprintf("page %d is empty and the pages below it are not; nothing is certified until it was so for a while", s.Page)
	case s.Page == 0:
		return "the list is empty, though messages of it were delivered; nothing is certified until it was so for a while"
	}
	return fmt.Sprintf("the list ends at page %d and shows nothing that was delivered; nothing is certified until it was so for a while", s.Page)
}

// suspicion is what a Reader knows of one. It is of this Reader alone: after a restart nothing has been seen yet. Time
// is what the pages say of when they were received.
type suspicion struct {
	Suspicion
	page0  connector.Fingerprint // where Hollow: what was walked last
	lowest connector.Key         // else: of the list's lowest row, which stays where the list is only added to
}

// look counts a look at an empty page and says whether it is believed now: after enough looks over enough time.
func (s *suspicion) look(rules Rules, empty connector.Page, hollow bool, lowest connector.Key) bool {
	at := empty.Received
	if s.Looks == 0 || s.Hollow != hollow || s.lowest != lowest || at.Before(s.Since) {
		*s = suspicion{Suspicion: Suspicion{Since: at, Hollow: hollow}, lowest: lowest}
	}
	s.Page = empty.Number
	if at.Sub(s.Since) >= s.due(rules) {
		s.Looks++
	}
	s.Next = max(0, s.due(rules)-at.Sub(s.Since))
	return s.Looks >= rules.Looks
}

// due is how long after the first look the next one counts.
func (s *suspicion) due(rules Rules) time.Duration {
	return rules.LookOver * time.Duration(s.Looks) / time.Duration(max(1, rules.Looks-1))
}

// listState is where a list seems to end, and what is suspected of it. After a restart nothing of it is known.
type listState struct {
	rules    Rules
	known    *known
	source   *source
	progress *progress

	settled    connector.Fingerprint // of the page 0 that left nothing to do
	topAt      time.Time             // when page 0 was received last
	emptyPolls int
	end        provenEnd
	suspicion  suspicion
	deeper     bool
	hollows    int // walks in a row that met an empty page in the middle
	// filtered: empty pages in the middle are believed, for one was so for long.
	filtered bool
	stalls   int // walks in a row that met the same page again and again
	// cleared: that the list shows no ground any more was believed, and nothing of what it shows now is ground yet.
	cleared bool
	// gone is the newest event delivered in order that no page showed above the start of a walk which did not meet it.
	gone connector.Key
	// above is a page that showed, above the start of a walk, what this did not meet.
	above    int
	movedUps int // walks in a row whose first message stood too high afterwards
}

// Doubts is what is suspected of the list now; nil where nothing is.
func (r *Reader) Doubts() *Suspicion { return r.list.doubts() }

// doubts is what is suspected of the list now; nil where nothing is.
func (l *listState) doubts() *Suspicion {
	if l.suspicion.Looks == 0 || l.suspicion.Looks >= l.rules.Looks {
		return nil
	}
	doubts := l.suspicion.Suspicion
	return &doubts
}

// stillSuspect looks with a call or two whether a suspicion still stands, so that the whole list is walked again only
// where it does not, or where another look counts. It returns how many pages it read.
func (l *listState) stillSuspect(ctx context.Context) (pages int, err error) {
	s := &l.suspicion
	if l.doubts() == nil {
		return 0, nil
	}
	zero, err := l.source.read(ctx, 0, "")
	if err != nil {
		return 1, err
	}
	empty := zero
	if s.Page > 0 {
		if s.Hollow && s.page0 != "" && zero.Fingerprint != s.page0 || l.known.shows(zero.Messages) && !s.Hollow {
			return 1, nil
		}
		if empty, err = l.source.read(ctx, s.Page, ""); err != nil {
			return 2, err
		}
		pages++
	}
	pages++
	if s.Page == 0 && len(empty.Messages) > 0 {
		*s = suspicion{} // it is not empty after all
		return pages, nil
	}
	if len(empty.Messages) > 0 || empty.Received.Before(s.Since) || empty.Received.Sub(s.Since) >= s.due(l.rules) {
		return pages, nil
	}
	s.Next = s.due(l.rules) - empty.Received.Sub(s.Since)
	return pages, l.doubts()
}

// page reads a page on the way down, and says of an empty one whether the list ends there. That counts only if it is
// empty again after a valid page 0, and the pages below are empty too, as a filter may leave whole pages empty; or if
// it was proven so while page 0 was the same. An empty page 0 counts only if several polls in a row find it.
func (l *listState) page(ctx context.Context, number int) (page connector.Page, ends bool, err error) {
	if page, err = l.source.read(ctx, number, ""); err != nil || number == 0 || len(page.Messages) > 0 {
		return page, len(page.Messages) == 0, err
	}
	zero, err := l.source.read(ctx, 0, "")
	if err != nil {
		return connector.Page{}, false, err
	}
	if l.end.number > 0 && number >= l.end.number && zero.Fingerprint == l.end.page0 {
		return page, true, nil
	}
	if len(zero.Messages) > 0 {
		l.emptyPolls = 0
	} else if !l.emptied() {
		return connector.Page{}, false, ErrEmpty
	}
	again, err := l.source.read(ctx, number, "")
	if err != nil || len(again.Messages) > 0 {
		return again, false, err
	}
	below, err := l.emptyBelow(ctx, number)
	switch {
	case err != nil:
		return connector.Page{}, false, err
	case below:
		l.end = provenEnd{number, zero.Fingerprint}
		return again, true, nil
	}
	// A page in the middle that was empty in passing: an answer that failed. Only one that stays so is walked over.
	if l.hollows++; l.hollows < l.rules.Looks {
		return connector.Page{}, false, &connector.PageError{
			Fault: connector.FaultInvalid,
			Err:   fmt.Errorf("page %d is empty, though pages below it are not", number),
		}
	}
	// Walks of a deep backlog cannot go on upward uncertified: they wait, once. The next such pages are believed, as a
	// filter is at work.
	if l.progress.start > 0 && !l.filtered && !l.suspicion.look(l.rules, again, true, connector.Key{}) {
		return connector.Page{}, false, l.doubts()
	}
	l.filtered = l.filtered || l.progress.start > 0
	return again, false, nil
}

// emptyBelow says whether the pages below an empty one are empty as well.
func (l *listState) emptyBelow(ctx context.Context, number int) (bool, error) {
	for below := number + 1; below <= number+l.rules.BelowEnd; below++ {
		page, err := l.source.read(ctx, below, "")
		if err != nil || len(page.Messages) > 0 {
			return false, err
		}
	}
	return true, nil
}

// emptied counts polls that found page 0 empty and says whether the list counts as empty now.
func (l *listState) emptied() bool {
	l.emptyPolls++
	return l.emptyPolls >= l.rules.EmptyPolls
}

// emptyList is nil where page 0, which is empty, was so in enough polls, and the pages below it are empty too.
func (l *listState) emptyList(ctx context.Context) error {
	if !l.emptied() {
		return ErrEmpty
	}
	below, err := l.emptyBelow(ctx, 0)
	if err == nil && !below {
		l.suspicion, l.cleared = suspicion{}, false
		err = &connector.PageError{
			Fault: connector.FaultInvalid,
			Err:   errors.New("page 0 is empty, though pages below it are not"),
		}
	}
	return err
}

// judge says what becomes of a walk that came to its end: whether it may certify anything, and what is suspected from
// now on.
func (l *listState) judge(w *walked) {
	switch {
	case w.gap == nil:
		l.suspicion, l.hollows = suspicion{}, 0
	case !l.filtered:
		l.filtered = l.suspicion.look(l.rules, *w.gap, true, connector.Key{})
		w.hollow, l.suspicion.page0 = !l.filtered, w.page0
	}
	if !l.known.missing(w.order) {
		l.cleared = false
	}
	l.stalls = 0
}

// ended concludes a walk that reached the end of the list with this empty page.
func (w *walker) ended(ctx context.Context, empty connector.Page) error {
	r := w.reader
	w.taken++
	w.bottom, w.short = empty.Number, w.ordinary()
	switch {
	case w.taken > 1:
	case r.progress.start > 0:
		careful := !r.progress.careful && r.known.hasGround() // by a time that is wrong, it may lead there again
		r.search.searchAfresh()
		r.progress.careful = careful
		return Stalled("the list ends above page %d, where it was to be read on", empty.Number)
	default:
		if err := r.list.emptyList(ctx); err != nil {
			return err
		}
	}
	if !r.known.missing(w.order) {
		return nil
	}
	if r.progress.start > 0 && !r.progress.careful {
		// The search for ground led below it: by a message whose time is wrong, say. Search again, carefully.
		r.progress.start, r.progress.previous, r.progress.careful, r.progress.fromTop = 0, nil, true, false
		return ErrMoved
	}
	lowest := connector.Key{}
	if n := len(w.order); n > 0 {
		lowest = w.order[n-1].Key
	}
	if !r.list.cleared && !r.list.suspicion.look(r.rules, empty, false, lowest) {
		return r.list.doubts()
	}
	r.list.cleared = true
	// what was held is gone as well
	r.known.recorded.Bottom, r.known.recorded.Accepting = withoutAccepting(&r.known.recorded), nil
	switch {
	case !r.known.forgetful():
		return nil // nothing was forgotten: what is not known is new
	case r.progress.start > 0:
		return errGroundGone
	default:
		r.search.withoutGround(&w.walked)
	}
	return nil
}

// newerThanGround says which of some rows, newest first, are newer than where ground lies in time. One without a time
// goes with its neighbour above, and at the top with the first that has one. Where ground lies nowhere in time, nothing
// shows that any is new.
func newerThanGround(rows []found, limit time.Time) []bool {
	newer := make([]bool, len(rows))
	if limit.IsZero() {
		return newer
	}
	is := false
	if i := slices.IndexFunc(rows, func(f found) bool { return !f.Time.IsZero() }); i >= 0 {
		is = rows[i].Time.After(limit)
	}
	for i := range rows {
		if !rows[i].Time.IsZero() {
			is = rows[i].Time.After(limit)
		}
		newer[i] = is
	}
	return newer
}

// deletedAbove says whether something above the start of a walk was deleted. In several walks running, it is no delete
// but rows that are listed twice.
func (l *listState) deletedAbove(up bool) bool {
	if !up {
		l.movedUps = 0
		return false
	}
	l.movedUps++
	return l.movedUps < l.rules.Repeats
}
