package cli

import (
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// Exit codes, the same for every command.
const (
	ExitFine   = 0
	ExitFailed = 1 // it did not work
	ExitUsage  = 2 // the command line or the configuration is wrong
	ExitWrong  = 3 // it worked, and found something wrong
)

// Program is what a command is run with.
type Program struct {
	Name     string // of the command
	JSON     bool   // it was asked for JSON
	Env      []string
	In       io.Reader
	Out, Err io.Writer
	// Describe is given a command's flags in place of the help that was asked for; nil: the help is printed.
	Describe func(*flag.FlagSet)
	// LimitMemory sets a soft limit of the process's memory in bytes, as debug.SetMemoryLimit does; nil if the process is
	// not ours.
	LimitMemory func(bytes int64) int64
	// Root is where the limits of a container are looked up; nil: nowhere.
	Root fs.FS
	// StandardLog sets where the standard logger writes, as log.SetOutput does; nil if the process is not ours.
	StandardLog func(io.Writer)
}

// ErrFoundWrong ends a command that worked and has already said what is wrong.
var ErrFoundWrong = errors.New("found something wrong")

// errHelped ends a command that was only asked for help.
var errHelped = errors.New("helped")

// ReaderLeft reports whether an error is that whoever read the standard output has gone, and so has enough.
func ReaderLeft(err error) bool {
	var writing *fs.PathError
	return errors.As(err, &writing) && writing.Op == "write" && writing.Path == os.Stdout.Name() &&
		errors.Is(err, syscall.EPIPE)
}

// ExitCode is that of a command which ended with this error.
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
