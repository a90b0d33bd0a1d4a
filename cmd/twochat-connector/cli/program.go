package cli

import (
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// These exit codes are the same for every command.
const (
	ExitFine   = 0
	ExitFailed = 1 // it failed
	ExitUsage  = 2 // the command line or the configuration is wrong
	ExitWrong  = 3 // it succeeded, and found something wrong
)

// Program is the environment in which a command runs.
type Program struct {
	Name     string // the command's name
	JSON     bool   // JSON output was requested
	Env      []string
	In       io.Reader
	Out, Err io.Writer
	// Describe receives a command's flags instead of the help being printed. If nil, the help is printed.
	Describe func(*flag.FlagSet)
	// LimitMemory sets a soft limit of the process's memory in bytes, as debug.SetMemoryLimit does. It is nil if the
	// process is not ours, as in tests.
	LimitMemory func(bytes int64) int64
	// CollectAt sets how much garbage there may be in addition to what is in use, as debug.SetGCPercent does. It is nil
	// if the setting is to stay as it is.
	CollectAt func(percent int) int
	// AfterCollections calls a function after each collection of garbage; nil if it never does.
	AfterCollections func(do func())
	// Root is the file system in which the limits of a container are looked up; nil for none.
	Root fs.FS
	// StandardLog sets the output of the standard logger, as log.SetOutput does. It is nil if the process is not ours.
	StandardLog func(io.Writer)
	// Hangup decides what SIGHUP does; nil if the process is not ours.
	Hangup *Hangup

	keyless bool     // no API key is missed
	inForce *InForce // nil until a configuration is loaded
}

// ErrFoundWrong ends a command that succeeded and has already reported what is wrong.
var ErrFoundWrong = errors.New("found something wrong")

// errHelped ends a command that only printed its help.
var errHelped = errors.New("helped")

// ReaderLeft reports whether an error means that nobody reads the standard output any more.
func ReaderLeft(err error) bool {
	var writing *fs.PathError
	return errors.As(err, &writing) && writing.Op == "write" && writing.Path == os.Stdout.Name() &&
		errors.Is(err, syscall.EPIPE)
}

// ExitCode is the exit code of a command that ended with this error.
func ExitCode(err error) int {
	var usage *UsageError
	switch {
	case err == nil, errors.Is(err, errHelped):
		return ExitFine
	case errors.Is(err, ErrFoundWrong):
		return ExitWrong
	case errors.As(err, &usage):
		return ExitUsage
	}
	return ExitFailed
}
