// Package reader reads one message list of 2Chat into one log: what is new goes in once, oldest first, and the log's
// certified sequence moves only where nothing is missing below it.
//
// A Reader is a state machine without a clock and without a goroutine of its own. Poll and Sweep are single steps; what
// has to survive a crash is in the checkpoint that each commit writes. A Session acquires the log for it. The rules
// that comments cite by number are in connector/README.md.
package reader
