package reader

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Suspicion says that the list seems to end, or a page to be empty, where that is extraordinary: it shows nothing of what the log
// holds, or more below. A bad backend or a filter looks just like a chat that was cleared, so nothing is certified until it was seen
// in several looks over some minutes. It is no error of the list: look again.
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

// suspicion is what a Reader knows of one. It is of this Reader alone: after a restart nothing has been seen yet. Time is what the
// pages say of when they were received.
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

// Doubts is what is suspected of the list now; nil where nothing is.
func (r *Reader) Doubts() *Suspicion {
	if r.suspicion.Looks == 0 || r.suspicion.Looks >= r.rules.Looks {
		return nil
	}
	doubts := r.suspicion.Suspicion
	return &doubts
}

// stillSuspect looks with a call or two whether a suspicion still stands, so that the whole list is walked again only where it
// does not, or where another look counts. It returns how many pages it read.
func (r *Reader) stillSuspect(ctx context.Context) (pages int, err error) {
	s := &r.suspicion
	if r.Doubts() == nil {
		return 0, nil
	}
	zero, err := r.read(ctx, 0, "")
	if err != nil {
		return 1, err
	}
	empty := zero
	if s.Page > 0 {
		if s.Hollow && s.page0 != "" && zero.Fingerprint != s.page0 || r.shows(zero.Messages) && !s.Hollow {
			return 1, nil
		}
		if empty, err = r.read(ctx, s.Page, ""); err != nil {
			return 2, err
		}
		pages++
	}
	pages++
	if s.Page == 0 && len(empty.Messages) > 0 {
		*s = suspicion{} // it is not empty after all
		return pages, nil
	}
	if len(empty.Messages) > 0 || empty.Received.Before(s.Since) || empty.Received.Sub(s.Since) >= s.due(r.rules) {
		return pages, nil
	}
	s.Next = s.due(r.rules) - empty.Received.Sub(s.Since)
	return pages, r.Doubts()
}

// shows says whether some rows show ground; where there is none yet, whether they show anything known.
func (r *Reader) shows(rows []connector.Message) bool {
	ground := r.hasGround()
	return slices.ContainsFunc(rows, func(m connector.Message) bool { return r.ground(m.Key) || !ground && r.known(m.Key) })
}

// hasGround says whether there is anything that a list should show.
func (r *Reader) hasGround() bool {
	return r.window.certified > r.window.base || len(r.exempt) > 0
}

// missing says whether a walk that went to the end of the list should have met something of the log, and did not.
func (r *Reader) missing(order []found) bool {
	ground := r.hasGround()
	if r.groundless || !ground && r.window.last <= r.window.base {
		return false
	}
	return !slices.ContainsFunc(order, func(f found) bool { return r.ground(f.Key) || !ground && r.known(f.Key) })
}

// page reads a page on the way down, and says of an empty one whether the list ends there. That counts only if it is empty again
// after a valid page 0, and the pages below are empty too, as a filter may leave whole pages empty; or if it was proven so while
// page 0 was the same. An empty page 0 counts only if several polls in a row find it.
func (r *Reader) page(ctx context.Context, number int) (page connector.Page, ends bool, err error) {
	if page, err = r.read(ctx, number, ""); err != nil || number == 0 || len(page.Messages) > 0 {
		return page, len(page.Messages) == 0, err
	}
	zero, err := r.read(ctx, 0, "")
	if err != nil {
		return connector.Page{}, false, err
	}
	if r.end.number > 0 && number >= r.end.number && zero.Fingerprint == r.end.page0 {
		return page, true, nil
	}
	if len(zero.Messages) > 0 {
		r.emptyPolls = 0
	} else if !r.emptied() {
		return connector.Page{}, false, ErrEmpty
	}
	again, err := r.read(ctx, number, "")
	if err != nil || len(again.Messages) > 0 {
		return again, false, err
	}
	below, err := r.emptyBelow(ctx, number)
	switch {
	case err != nil:
		return connector.Page{}, false, err
	case below:
		r.end = provenEnd{number, zero.Fingerprint}
		return again, true, nil
	}
	// A page in the middle that was empty in passing: an answer that failed. Only one that stays so is walked over.
	if r.hollows++; r.hollows < r.rules.Looks {
		return connector.Page{}, false, &connector.PageError{Fault: connector.FaultInvalid, Err: fmt.Errorf("page %d is empty, though pages below it are not", number)}
	}
	// Walks of a deep backlog cannot go on upward uncertified: they wait, once. The next such pages are believed, as a filter is at work.
	if r.start > 0 && !r.filtered && !r.suspicion.look(r.rules, again, true, connector.Key{}) {
		return connector.Page{}, false, r.Doubts()
	}
	r.filtered = r.filtered || r.start > 0
	return again, false, nil
}

// emptyBelow says whether the pages below an empty one are empty as well.
func (r *Reader) emptyBelow(ctx context.Context, number int) (bool, error) {
	for below := number + 1; below <= number+r.rules.BelowEnd; below++ {
		page, err := r.read(ctx, below, "")
		if err != nil || len(page.Messages) > 0 {
			return false, err
		}
	}
	return true, nil
}

// emptied counts polls that found page 0 empty and says whether the list counts as empty now.
func (r *Reader) emptied() bool {
	r.emptyPolls++
	return r.emptyPolls >= r.rules.EmptyPolls
}

// emptyList is nil where page 0, which is empty, was so in enough polls, and the pages below it are empty too.
func (r *Reader) emptyList(ctx context.Context) error {
	if !r.emptied() {
		return ErrEmpty
	}
	below, err := r.emptyBelow(ctx, 0)
	if err == nil && !below {
		r.suspicion, r.cleared = suspicion{}, false
		err = &connector.PageError{Fault: connector.FaultInvalid, Err: errors.New("page 0 is empty, though pages below it are not")}
	}
	return err
}

// judge says what becomes of a walk that came to its end: whether it may certify anything, and what is suspected from now on.
func (r *Reader) judge(w *walked) {
	switch {
	case w.gap == nil:
		r.suspicion, r.hollows = suspicion{}, 0
	case !r.filtered:
		r.filtered = r.suspicion.look(r.rules, *w.gap, true, connector.Key{})
		w.hollow, r.suspicion.page0 = !r.filtered, w.page0
	}
	if !r.missing(w.order) {
		r.cleared = false
	}
	r.stalls = 0
}

// ended concludes a walk that reached the end of the list with this empty page.
func (w *walker) ended(ctx context.Context, empty connector.Page) error {
	r := w.reader
	w.taken++
	w.bottom, w.short = empty.Number, w.ordinary()
	switch {
	case w.taken > 1:
	case r.start > 0:
		careful := !r.careful && r.hasGround() // by a time that is wrong, it may lead there again
		r.searchAfresh()
		r.careful = careful
		return Stalled("the list ends above page %d, where it was to be read on", empty.Number)
	default:
		if err := r.emptyList(ctx); err != nil {
			return err
		}
	}
	if !r.missing(w.order) {
		return nil
	}
	if r.start > 0 && !r.careful {
		// The search for ground led below it: by a message whose time is wrong, say. Search again, carefully.
		r.start, r.previous, r.careful, r.fromTop = 0, nil, true, false
		return ErrMoved
	}
	lowest := connector.Key{}
	if n := len(w.order); n > 0 {
		lowest = w.order[n-1].Key
	}
	if !r.cleared && !r.suspicion.look(r.rules, empty, false, lowest) {
		return r.Doubts()
	}
	r.cleared = true
	r.recorded.Bottom, r.recorded.Accepting = withoutAccepting(&r.recorded), nil // what was held is gone as well
	switch {
	case !r.forgetful():
		return nil // nothing was forgotten: what is not known is new
	case r.start > 0:
		return errGroundGone
	default:
		r.withoutGround(&w.walked)
	}
	return nil
}

// withoutGround applies rule 8 to a walk that saw the whole list and no ground though there is some: what is newer than
// ground by time is new; the rest is held, and the newest of it becomes a horizon, which counts as ground from then on.
func (r *Reader) withoutGround(w *walked) {
	limit := r.times.median(r.window.certified)
	newer := newerThanGround(w.order, limit)
	kept := w.order[:0:0]
	for i := range w.order {
		f := w.order[i]
		if r.known(f.Key) || newer[i] {
			kept = append(kept, f)
			if len(w.horizon) > 0 {
				w.newer = limit
			}
			continue
		}
		r.countHeld(f.Key)
		if len(w.horizon) < r.rules.Floor {
			w.horizon = append(w.horizon, f.Key)
		}
	}
	w.order = kept
}

// newerThanGround says which of some rows, newest first, are newer than where ground lies in time. One without a time goes with its
// neighbour above, and at the top with the first that has one. Where ground lies nowhere in time, nothing shows that any is new.
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
