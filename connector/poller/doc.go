// Package poller keeps one stream going: it decides when a Reader makes a step, waits out what does not work now,
// stands down when another instance has taken over, and tells status, metrics and logs what became of it.
package poller
