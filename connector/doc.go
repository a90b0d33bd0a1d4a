// Package connector turns the message lists of 2Chat into logs of CloudEvents that contain each message exactly once.
//
// 2Chat lists a number's messages over HTTP: newest first, a hundred a page, by page number, without a cursor. The list
// moves between any two requests. A Reader (package reader) walks such a list down to what it has already delivered,
// finds what is new and appends it, oldest first, to a Log, a stream's place in a sink. A commit of a Log records
// events and the next Checkpoint together or not at all, and refuses every writer but the newest; so a crash at any
// point leaves nothing to clean up.
//
// This package is the contract: the terms, the event, the checkpoint, and the two interfaces, Pages and Log, between
// which the other packages work. Package reader reads a list into a log; poller decides when to read and how to retry;
// history shows what is listed below a live stream's beginning; quota limits the calls to 2Chat. None of them knows a
// broker, HTTP or a configuration file.
package connector
