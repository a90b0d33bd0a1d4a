// Package audit compares the API's list of a stream with its log, and can restore what the log lacks.
//
// The log is read back whole, as a digest for each event. The list is read by the connector's own Reader into a log in
// memory, so that a moving list is read as reliably as for delivery: each message once, in order. Compare then returns
// the differences.
package audit
