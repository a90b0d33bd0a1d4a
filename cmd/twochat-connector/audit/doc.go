// Package audit holds the API's list of a stream against its log, and puts back what the log lacks.
//
// The log is read back whole, as a digest for each event. The list is read by the connector's own Reader into a log in
// memory, so that a list that moves is read as soundly as it is delivered: each message once, in its order. Compare
// then says what differs.
package audit
