// Package backfill delivers what a stream's first start left out, as a stream of its own, and shows how far it is.
package backfill
