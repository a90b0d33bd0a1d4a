// Package connector turns the message lists of 2Chat into logs of CloudEvents in which each message stands once.
//
// 2Chat lists a number's messages over HTTP: newest first, a hundred a page, by page number, without a cursor. The list
// moves between any two requests. A Reader (package reader) walks such a list down to what it already delivered, finds
// what is new and puts it, oldest first, into a Log, a stream's place in a sink. A commit of a Log takes events and the
// next Checkpoint together or not at all, and refuses every writer but the newest; so a crash at any point leaves
// nothing to clean up.
//
// This package is the contract: the words, the event, the checkpoint, and the two interfaces, Pages and Log, between
// which the others work. Package reader reads a list into a log; poller says when, and how to retry; history shows what
// is listed below a live stream's beginning; quota says how often 2Chat may be asked. None of them knows a broker, HTTP
// or a configuration file.
package connector
