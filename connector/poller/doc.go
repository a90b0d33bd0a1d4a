// Package poller runs one stream: it decides when a Reader makes a step, waits out failures that pass, such as a 429
// (page_retry.go) or a sink that is down (retry.go), stands down when another instance has taken over, and reports to
// status, metrics and logs.
package poller
