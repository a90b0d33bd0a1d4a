// Package pipeline runs the connector: a poller for each stream, sharing one rate limit and one budget, with one sink,
// and the report of their state.
package pipeline
