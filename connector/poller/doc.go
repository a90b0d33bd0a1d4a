// Package poller runs one stream. It decides when a Reader makes a step, waits out failures that pass, such as a 429 or
// a sink that is down (retry.go; page_retry.go decides how long to wait for a page), stands down when another instance
// has taken over, and reports to status, metrics and logs.
package poller
