// Package cli is what every command has in common: the program that it runs in, its flags, its errors and exit codes,
// its log.
package cli
