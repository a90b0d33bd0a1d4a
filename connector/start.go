package connector

import "time"

// Start says where a stream begins at its first start; afterwards it is not asked again.
type Start struct {
	// Beginning: everything that is listed is wanted.
	Beginning bool
	// Since: what is not older than this is wanted. Zero, with Beginning false, wants only what comes from now on.
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
