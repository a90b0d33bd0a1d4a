package fleet

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// attempt bounds each call of the board, so that announcing and listing end within their round.
	attempt = Round * 9 / 20
	// farewell bounds the withdrawal at the end.
	farewell = 2 * time.Second
)

// Attendance is how a replica takes part in a fleet. Both functions are called from one goroutine and return soon, as
// the replica is not announced meanwhile.
type Attendance struct {
	Board Board
	// Self is the replica's ID, from NewID.
	Self string
	// Changed is called with each view whose members differ from those of the one before. The first call says that the
	// replica owns something from now on, or, with a view without members, that it waits until the others have noticed
	// it. So does a later call with a view without members, after it was away for so long that others took over. A replica
	// that is refused for Lifetime counts on itself alone, until it has its share again.
	Changed func(View)
	// Failed is called when announcing, listing or hearing no longer works, again when the board says otherwise why, and
	// with nil when all works again.
	Failed func(error)
}

// Attend takes part until the context ends. Then it withdraws, within two seconds, and returns nil. The error wraps a
// *connector.Refusal: the board does not let the replica take part as things are. A replica that took part is not
// refused later; it goes on with what it has, and after a while with everything.
func Attend(ctx context.Context, a Attendance) error {
	life, end := context.WithCancel(ctx)
	t := &attendant{Attendance: a, membership: newMembership(a.Self), happened: make(chan func())}
	err := t.run(life)
	end()
	t.calls.Wait()
	// An announcement that failed may have reached the board.
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer stop()
	// Without a withdrawal the others notice after Lifetime.
	_ = a.Board.WithdrawMember(last, a.Self)
	return err
}

// attendant carries out the rounds. All but calls is used by one goroutine alone.
type attendant struct {
	Attendance
	membership *membership
	told       *View // the last view that Changed was called with
	edition    int   // of the membership, when it was looked at
	troubles   troubles
	calls      sync.WaitGroup
	happened   chan func() // what the calls found out
	busy       bool        // a round is under way
	again      bool        // another round has to begin at once
	hears      bool        // HearMembers is running
	hearsSince time.Time
	refused    error
}

func (t *attendant) run(ctx context.Context) error {
	rounds := time.NewTicker(Round)
	defer rounds.Stop()
	wait := time.NewTimer(0)
	defer wait.Stop()
	t.begin(ctx)
	for {
		if left, waits := t.membership.due(time.Now()); waits {
			wait.Reset(left)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-rounds.C:
			t.begin(ctx)
		case <-wait.C:
			t.membership.tick(time.Now())
		case happened := <-t.happened:
			happened()
		}
		if t.refused != nil {
			return t.refused
		}
		if t.again && !t.busy {
			t.begin(ctx)
		}
		t.tell(ctx)
	}
}

// begin starts a round: announcing, then listing, and hearing if that has ended.
func (t *attendant) begin(ctx context.Context) {
	if t.hears && time.Since(t.hearsSince) >= Round {
		t.troubles.set(hearing, nil)
	}
	if !t.hears {
		t.hears, t.hearsSince = true, time.Now()
		t.calls.Go(func() { t.hear(ctx) })
	}
	if !t.busy {
		t.busy, t.again = true, false
		t.calls.Go(func() {
			t.announce(ctx)
			t.list(ctx)
		})
	}
}

// report has the goroutine of run do something.
func (t *attendant) report(ctx context.Context, happened func()) {
	select {
	case t.happened <- happened:
	case <-ctx.Done():
	}
}

func (t *attendant) hear(ctx context.Context) {
	err := t.Board.HearMembers(ctx, func(id string, leaves bool) {
		if !areMates(t.Self, id) {
			return
		}
		t.report(ctx, func() {
			t.again = t.membership.heard(id, leaves, time.Now()) || t.again
		})
	})
	if err == nil {
		err = errors.New("hear members: the sink ended it")
	}
	t.report(ctx, func() {
		t.hears = false
		t.troubles.set(hearing, err)
	})
}

func (t *attendant) announce(ctx context.Context) {
	begun := time.Now()
	err := bounded(ctx, func(ctx context.Context) error { return t.Board.AnnounceMember(ctx, t.Self) })
	t.report(ctx, func() { t.announced(begun, err) })
}

func (t *attendant) list(ctx context.Context) {
	var ids []string
	begun := time.Now()
	err := bounded(ctx, func(ctx context.Context) (err error) {
		ids, err = t.Board.ListMembers(ctx)
		return err
	})
	t.report(ctx, func() { t.listed(ctx, ids, begun, err) })
}

func bounded(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	return call(ctx)
}

func (t *attendant) announced(begun time.Time, err error) {
	if err == nil {
		t.membership.announced(begun, time.Now())
		t.troubles.set(announcing, nil)
		return
	}
	t.failed(announcing, err)
}

func (t *attendant) failed(o operation, err error) {
	switch {
	case refusalText(err) == "":
		if o == announcing {
			t.membership.unanswered()
		}
	case t.told == nil:
		t.refused = err
	default:
		t.membership.refused(time.Now())
	}
	t.troubles.set(o, err)
}

func (t *attendant) listed(ctx context.Context, ids []string, begun time.Time, err error) {
	t.busy = false
	if err != nil {
		t.failed(listing, err)
		return
	}
	t.troubles.set(listing, nil)
	for _, ghost := range t.membership.listed(mates(t.Self, ids), begun, time.Now()) {
		// The ghost is not counted on here, whatever becomes of this. The others do without it sooner.
		t.calls.Go(func() {
			_ = bounded(ctx, func(ctx context.Context) error { return t.Board.WithdrawMember(ctx, ghost) })
		})
	}
}

// tell passes on what is different.
func (t *attendant) tell(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	if !t.busy { // half a round says only half of what works again
		if err, changed := t.troubles.changed(); changed {
			t.Failed(err)
		}
	}
	if t.edition == t.membership.edition {
		return
	}
	t.edition = t.membership.edition
	view, known := t.membership.view()
	if known && (t.told == nil || !t.told.sameMembers(view)) {
		t.told = &view
		t.Changed(view)
	}
}
