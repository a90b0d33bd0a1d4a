// Package cli holds what all commands share: the program's environment, flags, errors and exit codes, and the log.
package cli
