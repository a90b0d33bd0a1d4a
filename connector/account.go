package connector

import "time"

// AccountInfo is what the account at 2Chat reports about itself. Whatever its answer lacks, or has in an unreadable
// form, is zero.
type AccountInfo struct {
	// RequestsPerMinute is the account's limit, over all its integrations; 0 if it is not known.
	RequestsPerMinute int
	// Usage and MaxUsage count API calls in the current month; MaxUsage is 0 if it is not known.
	Usage    int64
	MaxUsage int64
	Blocked  bool
	OnTrial  bool
	Expires  time.Time
}
