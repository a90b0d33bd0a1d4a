// Package reader reads one message list of 2Chat into one log. Each new message is appended once, oldest first, and the
// log's certified sequence is raised only if nothing is missing below it.
//
// A Reader is a state machine without a clock. Poll and Sweep are single steps; everything that has to survive a crash
// is in the checkpoint that each commit writes. A Session acquires the log for it. The rules that comments cite by
// number are in connector/README.md.
package reader
