package fleet

import (
	"slices"
	"time"
)

// Member is a replica that takes part.
type Member struct {
	// ID is its name, unique among all processes.
	ID string
	// Since is when this replica first counted on it, by its own clock.
	Since time.Time
}

// View is on whom a replica counts at one moment. The zero value is that of a replica that owns nothing yet.
type View struct {
	// Self is the ID of the replica whose view it is.
	Self string
	// Members are the replicas among which the streams are shared, itself included, by ID. It is empty while the replica
	// waits for the others to notice it.
	Members []Member
}

// Alone is the view of a replica without others, as in a sink where replicas cannot find each other.
func Alone(self string, now time.Time) View {
	return View{Self: self, Members: []Member{{ID: self, Since: now}}}
}

// Owner is the ID of the member that reads a stream; empty if there are no members.
func (v View) Owner(stream string) string {
	owner, highest := "", uint64(0)
	for _, m := range v.Members {
		if score := Score(stream, m.ID); owner == "" || score > highest || score == highest && m.ID > owner {
			owner, highest = m.ID, score
		}
	}
	return owner
}

// Owns reports whether the replica reads a stream itself.
func (v View) Owns(stream string) bool { return v.Self != "" && v.Owner(stream) == v.Self }

// sameMembers reports whether two views count on the same members.
func (v View) sameMembers(w View) bool {
	return slices.EqualFunc(v.Members, w.Members, func(a, b Member) bool { return a.ID == b.ID })
}
