package fleet

import (
	"context"
	"slices"
	"time"
)

// AttendGroup takes part in a group until the context ends; see Group. Nobody waits for a round in it: the broker tells
// all members at the same time. It calls changed as Attendance.Changed and failed as Attendance.Failed.
func AttendGroup(ctx context.Context, group Group, self string, changed func(View), failed func(error)) error {
	told := View{Self: self}
	fails := false
	present := func(ids []string) {
		if fails {
			fails = false
			failed(nil)
		}
		view := told.with(mates(self, ids), time.Now())
		if !told.sameMembers(view) {
			told = view
			changed(view)
		}
	}
	return group.AttendGroup(ctx, self, present, func(err error) {
		if !fails {
			fails = true
			failed(err)
		}
	})
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
