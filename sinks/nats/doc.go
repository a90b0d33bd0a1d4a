// Package nats is the sink for core NATS: it publishes events and remembers in a file what it published. Core NATS
// keeps nothing, and confirms only that the server has read a message, so the promise is best effort.
//
// How servers are reached (Connection) and how an event lies in a message (Message, the CloudEvents NATS binding) are
// shared with JetStream.
package nats
