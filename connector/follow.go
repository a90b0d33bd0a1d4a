package connector

import "time"

// FollowOptions are which events of a sink somebody who follows it is given, and from where on.
type FollowOptions struct {
	// Stream narrows them to one stream's name; "" is all.
	Stream string
	// Last is how many of the newest events it begins with.
	Last int
	// Since begins, in place of Last, with the first event that was recorded then. A few that were recorded before may
	// come first, as brokers go by their own clocks. Zero is unset.
	Since time.Time
	// Once ends it at what is there when it begins.
	Once bool
}

// ClockMargin is how much further back than FollowOptions.Since a sink looks where it goes by another clock than the
// connector's.
const ClockMargin = time.Minute
