// Package backfill delivers the history that a stream's first start left out, as a stream of its own, with a progress
// bar (bar.go).
package backfill
