// Package erase is the command erase: it overwrites one chat in a sink and keeps the uuids of its messages, so that
// they are not delivered again.
package erase
