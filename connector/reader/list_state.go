package reader

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Suspicion means that the list seems to end although it shows nothing of what the log holds, or that a page is empty
// although there are messages below it. A failing backend or a filter looks the same as a chat that was cleared, so
// nothing is certified until it has been seen several times over some minutes (rule 8). Poll again.
type Suspicion struct {
	// Page is the empty page; 0 if the whole list seems to be empty.
	Page int
	// Gap is true if the list goes on below the page.
	Gap bool
	// Since is when that was first seen, and Checks how many times the list was checked since.
	Since  time.Time
	Checks int
	// Next is the time until another check counts.
	Next time.Duration
}

func (s *Suspicion) Error() string {
	switch {
	case s.Gap:
		return fmt.Sprintf("page %d is empty and the pages below it are not; nothing is certified until this has lasted for a while", s.Page)
	case s.Page == 0:
		return "the list is empty, though messages of it were delivered; nothing is certified until this has lasted for a while"
	}
	return fmt.Sprintf("the list ends at page %d and shows nothing that was delivered; nothing is certified until this has lasted for a while", s.Page)
}

// suspicion is the state of a Suspicion. It is not in the checkpoint: after a restart it begins again. Its clock is the
// time at which pages were received.
type suspicion struct {
	Suspicion
	page0  connector.Fingerprint // of a gap: page 0 of the last walk
	lowest connector.Key         // otherwise: the list's lowest row, which stays the same while messages are only added
}

// check counts a check of an empty page and reports whether it is believed now: after enough checks over enough time.
func (s *suspicion) check(rules Rules, empty connector.Page, gap bool, lowest connector.Key) bool {
	at := empty.Received
	if s.Checks == 0 || s.Gap != gap || s.lowest != lowest || at.Before(s.Since) {
		*s = suspicion{Suspicion: Suspicion{Since: at, Gap: gap}, lowest: lowest}
	}
	s.Page = empty.Number
	if at.Sub(s.Since) >= s.due(rules) {
		s.Checks++
	}
	s.Next = max(0, s.due(rules)-at.Sub(s.Since))
	return s.Checks >= rules.Checks
}

// due is the time from the first check after which the next one counts.
func (s *suspicion) due(rules Rules) time.Duration {
	return rules.CheckOver * time.Duration(s.Checks) / time.Duration(max(1, rules.Checks-1))
}

// listState is what is known and suspected about the end of the list. It is not in the checkpoint.
type listState struct {
	rules    Rules
	known    *known
	source   *source
	progress *progress
	workers  WorkerPool // nil: pages are read one after the other

	settled    connector.Fingerprint // of the page 0 after which nothing was left to do
	topAt      time.Time             // when page 0 was received last
	emptyPolls int
	end        provenEnd
	zero       []connector.Key // of the page 0 that was read last to prove an end
	suspicion  suspicion
	deeper     bool
	gaps       int // walks in a row that met an empty page in the middle
	// filtered: empty pages in the middle are believed, as one stayed empty for a long time.
	filtered bool
	stalls   int // walks in a row that met the same page again and again
	// cleared: it was believed that the list shows no ground any more, and it shows no new ground yet. lowest was its
	// lowest row then, or zero if it was empty.
	cleared bool
	lowest  connector.Key
	// gone is the newest event delivered in order, if neither a walk nor the pages above its start showed it.
	gone connector.Key
	// above is a page above the start of a walk that showed events which the walk did not meet.
	above    int
	movedUps int // walks in a row whose first message stood higher than expected afterwards
}

// Suspicion is the current suspicion, or nil.
func (r *Reader) Suspicion() *Suspicion { return r.list.current() }

// current is the current suspicion, or nil if there is none or it is believed.
func (l *listState) current() *Suspicion {
	if l.suspicion.Checks == 0 || l.suspicion.Checks >= l.rules.Checks {
		return nil
	}
	doubts := l.suspicion.Suspicion
	return &doubts
}

// stillSuspect checks with one or two calls whether a suspicion persists, so that the whole list is walked again only
// if it does not, or if another check counts. It returns how many pages it read.
func (l *listState) stillSuspect(ctx context.Context) (pages int, err error) {
	s := &l.suspicion
	if l.current() == nil {
		return 0, nil
	}
	zero, err := l.source.read(ctx, 0, "")
	if err != nil {
		return 1, err
	}
	empty := zero
	if s.Page > 0 {
		if s.Gap && s.page0 != "" && zero.Fingerprint != s.page0 || l.known.shows(zero.Messages) && !s.Gap {
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
	return pages, l.current()
}

// page reads a page of a walk and reports whether the list ends there (rule 10). An empty page is the end only if it is
// empty again after a valid page 0 and the pages below it are empty too, as a filter may leave whole pages empty; or if
// that was proven before and page 0 is unchanged. An empty page 0 counts only if several polls in a row find it.
func (l *listState) page(ctx context.Context, number int) (page connector.Page, ends bool, err error) {
	if page, err = l.source.read(ctx, number, ""); err != nil || number == 0 || len(page.Messages) > 0 {
		return page, len(page.Messages) == 0, err
	}
	zero, err := l.source.read(ctx, 0, "")
	if err != nil {
		return connector.Page{}, false, err
	}
	l.zero = messageKeys(zero.Messages)
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
	// There is a gap, which may be a failed answer. Only a page that stays empty is skipped.
	if l.gaps++; l.gaps < l.rules.Checks {
		return connector.Page{}, false, &connector.PageError{
			Fault: connector.FaultInvalid,
			Err:   fmt.Errorf("page %d is empty, though pages below it are not", number),
		}
	}
	// Walks of a deep backlog have to be certified to go on upward, so they wait until the gap is believed. Later gaps are
	// believed at once, as a filter is at work.
	if l.progress.start > 0 && !l.filtered && !l.suspicion.check(l.rules, again, true, connector.Key{}) {
		return connector.Page{}, false, l.current()
	}
	l.filtered = l.filtered || l.progress.start > 0
	return again, false, nil
}

// errGoesOn ends the reading of the pages below an empty one at a page that is not empty.
var errGoesOn = errors.New("the list goes on")

// emptyBelow reports whether the pages below an empty one are empty as well. The first of them is read alone, as the
// list usually goes on there if it does. The others are read in parallel, as none of them depends on another.
func (l *listState) emptyBelow(ctx context.Context, number int) (bool, error) {
	look := func(ctx context.Context, i int) error {
		page, err := l.source.read(ctx, number+1+i, "")
		if err == nil && len(page.Messages) > 0 {
			err = errGoesOn
		}
		return err
	}
	var below WorkerPool = serial{}
	if l.workers != nil {
		below = l.workers
	}
	err := look(ctx, 0)
	if err == nil {
		err = below.Each(ctx, l.rules.BelowEnd-1, func(ctx context.Context, i int) error { return look(ctx, i+1) })
	}
	if errors.Is(err, errGoesOn) {
		return false, nil
	}
	return err == nil, err
}

// emptied counts a poll that found page 0 empty and reports whether the list counts as empty now.
func (l *listState) emptied() bool {
	l.emptyPolls++
	return l.emptyPolls >= l.rules.EmptyPolls
}

// emptyList returns nil if page 0 was empty in enough polls and the pages below it are empty too.
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

// judge decides whether a complete walk may certify anything, and updates the suspicion.
func (l *listState) judge(w *walked) {
	switch {
	case w.gap == nil:
		l.suspicion, l.gaps = suspicion{}, 0
	case !l.filtered:
		l.filtered = l.suspicion.check(l.rules, *w.gap, true, connector.Key{})
		w.gapDoubted, l.suspicion.page0 = !l.filtered, w.page0
	}
	if !l.known.missing(w.order) {
		l.cleared = false
	}
	l.stalls = 0
}

// concludeAtEnd concludes a walk that reached the end of the list, which is this empty page.
func (w *walker) concludeAtEnd(ctx context.Context, empty connector.Page) error {
	r := w.reader
	w.taken++
	w.endPage, w.short = empty.Number, w.ordinary()
	switch {
	case w.taken > 1:
	case r.progress.start > 0:
		careful := !r.progress.careful && r.known.hasGround() // a wrong time may lead the search there again
		r.search.searchAfresh()
		r.progress.careful = careful
		return Stalled("the list ends above page %d, where reading should continue", empty.Number)
	default:
		if err := r.list.emptyList(ctx); err != nil {
			return err
		}
	}
	if !r.known.missing(w.order) {
		return nil
	}
	if r.progress.start > 0 && !r.progress.careful {
		// The search led below ground, for example because of a message with a wrong time. Search again, without times.
		r.progress.start, r.progress.previous, r.progress.careful, r.progress.fromTop = 0, nil, true, false
		return ErrMoved
	}
	lowest := connector.Key{}
	if n := len(w.order); n > 0 {
		lowest = w.order[n-1].Key
	}
	if !r.list.believed(w.order, lowest) && !r.list.suspicion.check(r.rules, empty, false, lowest) {
		return r.list.current()
	}
	r.list.cleared, r.list.lowest = true, lowest
	// the held messages are gone as well
	r.known.recorded.UncheckedEnd, r.known.recorded.Accepting = withoutAccepting(&r.known.recorded, r.rules), nil
	switch {
	case !r.known.forgetful():
		return nil // nothing was forgotten: whatever is unknown is new
	case r.progress.start > 0:
		return errGroundGone
	default:
		r.search.withoutGround(&w.walked)
	}
	return nil
}

// believed reports whether it was believed before that the list shows no ground any more, and that it ends with this
// row. If it was empty then, that holds for all rows as long as they fit on page 0: more of them may be below an end
// that is not the real one.
func (l *listState) believed(order []found, lowest connector.Key) bool {
	return l.cleared && (l.lowest == lowest || l.lowest == connector.Key{} && len(order) < l.rules.Page)
}

// newerThanGround reports which rows, newest first, are newer than ground, whose time is limit. A row without a time
// counts like its upper neighbour, and at the top like the first row that has one. If the time of ground is unknown, no
// row counts as newer.
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

// deletedAbove reports whether something above the start of a walk was deleted; up means that its first message is
// higher than expected. If that happens in several walks in a row, nothing was deleted: rows are listed twice.
func (l *listState) deletedAbove(up bool) bool {
	if !up {
		l.movedUps = 0
		return false
	}
	l.movedUps++
	return l.movedUps < l.rules.Repeats
}
