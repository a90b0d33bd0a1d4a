// Package connector turns the message lists of 2Chat into logs of CloudEvents in which each message stands once.
//
// 2Chat lists a number's messages over HTTP: newest first, a hundred a page, by page number, without a cursor. The list
// moves between any two requests. A Reader walks such a list down to what it already delivered, finds what is new and
// puts it, oldest first, into a Log, a stream's place in a sink. A commit of a Log takes events and the next Checkpoint
// together or not at all, and refuses every writer but the newest; so a crash at any point leaves nothing to clean up.
// A Poller keeps one Reader going: when to read, how to retry, what to report.
//
// The package knows no broker, no HTTP and no configuration file. It consumes two interfaces, Pages and Log.
package connector
