// Package file is the sink for a file of JSON lines, and for the standard output.
//
// The file is the truth: a commit appends its events and syncs them, then writes the stream's checkpoint beside the file. What
// a crash leaves between the two is adopted when the file is opened again; a torn last line is cut. So no event is lost and
// none comes twice, on the one machine that holds the lock.
//
// A Ledger is the same memory for sinks that keep no events: the standard output here, and core NATS.
package file
