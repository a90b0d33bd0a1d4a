// Package file is the sink for a file of JSON lines, and for the standard output.
//
// The file is the truth: a commit appends its events and syncs them, then writes the stream's checkpoint beside the
// file. What a crash leaves between the two is adopted when the file is opened again; a torn last line is cut. So no
// event is lost or doubled on the one machine that holds the lock.
//
// Every file that decides anything carries a checksum, and what is adopted is compared with what was announced before
// it was written. A file or a folder that was removed, exchanged or restored under a running owner is refused by name,
// as the owner knows where it stood. It cannot be noticed if file and folder are restored or removed together between
// two runs.
//
// A StateStore is the same memory for sinks that keep no events: the standard output here, and core NATS.
package file
