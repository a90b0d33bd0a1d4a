// Package checkpoint is what an operator does with a stream's checkpoint: show it, carry it to another sink, give its
// stream another name, or accept another base URL for it.
package checkpoint
