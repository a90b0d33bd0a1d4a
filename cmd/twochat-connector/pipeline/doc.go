// Package pipeline is the connector at work: a poller for each stream, behind one rate limit and one budget, into one
// sink, and the report of how all of it stands.
package pipeline
