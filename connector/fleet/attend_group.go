package fleet

import (
	"context"
	"slices"
	"time"
)

// AttendGroup takes part in a group until the context ends; see Group. Nobody waits for a round in it: the broker tells
// all members at the same time. It calls changed as Attendance.Changed and failed as Attendance.Failed.
func AttendGroup(ctx context.Context, group Group, self string, changed func(View), failed func(error)) error {
	t := &groupAttendant{changed: changed, failed: failed, told: View{Self: self}}
	return group.AttendGroup(ctx, self, t.present, t.missed)
}

// groupAttendant turns what a group says into views. It is used by one goroutine.
type groupAttendant struct {
	changed func(View)
	failed  func(error)
	told    View
	// troubles has what fails now as what is announced.
	troubles     troubles
	refusedSince time.Time // when the broker first refused what it has refused since; zero if it refuses nothing
}

func (t *groupAttendant) present(ids []string) {
	t.refusedSince = time.Time{}
	t.fails(nil)
	t.follow(t.told.with(mates(t.told.Self, ids), time.Now()))
}

// missed is called for each attempt that failed. Whoever is refused for long owns everything, as on a board.
func (t *groupAttendant) missed(err error) {
	t.fails(err)
	now := time.Now()
	if refusalText(err) == "" {
		return
	}
	if t.refusedSince.IsZero() {
		t.refusedSince = now
	}
	if now.Sub(t.refusedSince) >= patience {
		t.follow(t.told.with([]string{t.told.Self}, now))
	}
}

func (t *groupAttendant) fails(err error) {
	t.troubles.set(announcing, err)
	if err, changed := t.troubles.changed(); changed {
		t.failed(err)
	}
}

func (t *groupAttendant) follow(v View) {
	if !t.told.sameMembers(v) {
		t.told = v
		t.changed(v)
	}
}

// with is the view with these members: those that stay keep the time since when they count.
func (v View) with(ids []string, now time.Time) View {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	next := View{Self: v.Self}
	for _, id := range ids {
		member := Member{ID: id, Since: now}
		if at := slices.IndexFunc(v.Members, func(m Member) bool { return m.ID == id }); at >= 0 {
			member = v.Members[at]
		}
		next.Members = append(next.Members, member)
	}
	return next
}
