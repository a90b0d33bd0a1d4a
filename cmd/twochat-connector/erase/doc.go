// Package erase is the command erase: it removes one chat from a sink, byte by byte, and keeps its uuids, so that nothing
// brings it back.
package erase
