package connector

import "time"

// FollowOptions select the events that a follower of a sink gets, and where they begin.
type FollowOptions struct {
	// Stream limits them to one stream's name; "" means all streams.
	Stream string
	// Last is how many of the newest events come first.
	Last int
	// Since, instead of Last, begins with the first event that was recorded since then. A few events that were recorded
	// before may come first, as brokers use their own clocks. Zero means unset.
	Since time.Time
	// Once ends after the newest event at the beginning.
	Once bool
}

// ClockMargin is how much further back than FollowOptions.Since a sink looks if it uses another clock than the
// connector's.
const ClockMargin = time.Minute
