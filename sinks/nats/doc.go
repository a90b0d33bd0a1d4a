// Package nats is the sink for core NATS: it publishes events and records in a file what it published. Core NATS stores
// nothing, and confirms only that the server has read a message, so delivery is best effort.
//
// The connection (Connection) and the encoding of an event as a message (Message, the CloudEvents NATS binding) are
// shared with JetStream.
package nats
