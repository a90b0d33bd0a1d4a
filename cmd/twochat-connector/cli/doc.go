// Package cli holds what all commands share: the program's environment, its flags, errors, exit codes and log.
package cli
