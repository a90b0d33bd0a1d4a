// Package poller runs one stream: it decides when a Reader makes a step, waits out failures that pass, such as a 429
// or a sink that is down (retry.go, for a page as long as page_retry.go says), stands down when another instance has taken over, and reports to
// status, metrics and logs.
package poller
