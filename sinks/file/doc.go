// Package file is the sink for a file of JSON lines, and for the standard output.
//
// The file is the source of truth: a commit appends its events and syncs them, then writes the stream's checkpoint into
// a folder next to the file. Events that were appended before a crash and have no checkpoint are adopted when the file
// is opened again; a torn last line is cut off. So no event is lost or duplicated on the one machine that holds the
// lock.
//
// Every file that matters has a checksum, and adopted lines are compared with what was announced before they were
// written. A file or a folder that is removed, replaced or restored under a running owner is refused, as the owner
// knows its last position. If file and folder are restored or removed together between two runs, that cannot be
// noticed.
//
// A StateStore keeps the same checkpoints for sinks that store no events: the standard output here, and core NATS.
package file
