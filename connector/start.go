package connector

import "time"

// Start is where a stream begins at its first start. Later starts ignore it.
type Start struct {
	// Beginning: all listed messages are wanted.
	Beginning bool
	// Since: messages that are not older than this time are wanted. If it is zero and Beginning is false, only messages
	// from now on are wanted.
	Since time.Time
}

func (s Start) String() string {
	switch {
	case s.Beginning:
		return "beginning"
	case s.Since.IsZero():
		return "now"
	}
	return s.Since.UTC().Format(time.RFC3339)
}
