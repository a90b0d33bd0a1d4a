// Package checkpoint is what an operator can do with a stream's checkpoint: show it, move it to another sink, rename
// its stream, or accept another base URL for it.
package checkpoint
