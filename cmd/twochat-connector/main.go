// Command twochat-connector turns 2Chat's WhatsApp message lists into ordered streams of CloudEvents in which each message
// stands once.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/twochat-connector/twochat-connector/config"
)

// Exit codes, the same for every command.
const (
	exitFine   = 0
	exitFailed = 1 // it did not work
	exitUsage  = 2 // the command line or the configuration is wrong
	exitWrong  = 3 // it worked, and found something wrong
)

func main() {
	// The reader of our standard output may go; the sink that writes there wants to know it, not to die of it.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// The first signal drains; from then on the next one ends the process at once.
	context.AfterFunc(ctx, stop)
	log.SetFlags(0)
	p := &program{
		env: os.Environ(), in: os.Stdin, out: os.Stdout, err: os.Stderr, limitMemory: debug.SetMemoryLimit, root: os.DirFS("/"), standardLog: log.SetOutput,
	}
	os.Exit(run(ctx, p, os.Args[1:]))
}

// program is what a command is run with.
type program struct {
	name     string // of the command
	json     bool   // it was asked for JSON
	env      []string
	in       io.Reader
	out, err io.Writer
	// limitMemory sets a soft limit of the process's memory in bytes, as debug.SetMemoryLimit does; nil where the process is not ours.
	limitMemory func(bytes int64) int64
	// root is where the limits of a container are looked up; nil: nowhere.
	root fs.FS
	// standardLog sets where the standard logger writes, as log.SetOutput does; nil where the process is not ours.
	standardLog func(io.Writer)
}

// command is one of the program's commands. Its error decides the exit code (see exitCode).
type command struct {
	name    string
	summary string
	run     func(ctx context.Context, p *program, args []string) error
}

// commands lists what there is, in the order of help.
func commands() []command {
	return []command{
		{"run", "read the configured numbers and deliver their messages", runConnector},
		{"demo", "show it at work: a fake 2Chat, the real connector, a real NATS; no account needed", runDemo},
		{"check", "look whether the configuration, the key, the numbers and the sink are right", runCheck},
		{"explain", "say what this configuration promises, and what can still be lost or doubled", runExplain},
		{"status", "ask a running instance how its streams are", runStatus},
		{"tail", "follow the events in the sink", runTail},
		{"preview", "show what privacy does to messages, before and after", runPreview},
		{"backfill", "deliver what a stream's first start left out, as a stream of its own", runBackfill},
		{"version", "print the version", printVersion},
	}
}

// run is the program without its process: it returns the exit code.
func run(ctx context.Context, p *program, args []string) int {
	p.hearLibraries(quietLogger())
	if len(args) == 0 {
		printHelp(p.err)
		return exitUsage
	}
	name, args := args[0], args[1:]
	switch name {
	case "help", "-h", "-help", "--help":
		if name != "help" || len(args) == 0 {
			printHelp(p.out)
			return exitFine
		}
		name, args = args[0], []string{"--help"}
	case "-version", "--version":
		name = "version"
	}
	all := commands()
	i := slices.IndexFunc(all, func(c command) bool { return c.name == name })
	if i < 0 {
		err := noSuchCommand(name)
		p.json = asksForJSON(args)
		p.tell(err)
		return exitCode(err)
	}
	p.name = name
	err := all[i].run(ctx, p, args)
	p.tell(err)
	return exitCode(err)
}

// noSuchCommand names the command that was meant, if it can be told. What was written may be anything, and is not quoted.
func noSuchCommand(written string) error {
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	text := "there is no such command; there are " + strings.Join(names, ", ")
	if near := config.Nearest(written, names); near != "" {
		text += "; the nearest is " + near
	}
	return &usageError{hinted(errors.New(text), "`twochat-connector help` says what they do")}
}

func printHelp(to io.Writer) {
	fmt.Fprint(to, "twochat-connector turns 2Chat's WhatsApp messages into ordered streams of CloudEvents, each message once.\n\nCommands:\n")
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, c := range commands() {
		fmt.Fprintf(table, "  %s\t%s\n", c.name, c.summary)
	}
	_ = table.Flush()
	fmt.Fprint(to, `
twochat-connector help COMMAND lists a command's flags.

Exit codes: 0 fine, 1 failed, 2 wrong command line or configuration, 3 found something wrong.
`)
}

// errFoundWrong ends a command that worked and has already said what is wrong.
var errFoundWrong = errors.New("found something wrong")

// errHelped ends a command that was only asked for help.
var errHelped = errors.New("helped")

func exitCode(err error) int {
	var usage *usageError
	switch {
	case err == nil, errors.Is(err, errHelped):
		return exitFine
	case errors.Is(err, errFoundWrong):
		return exitWrong
	case errors.As(err, &usage):
		return exitUsage
	}
	return exitFailed
}
