// Package pipeline runs the connector: one poller for each stream, which share a rate limit, a budget and a sink, and
// the report of their state.
package pipeline
