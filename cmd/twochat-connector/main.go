// Command twochat-connector turns 2Chat's WhatsApp message lists into ordered streams of CloudEvents that contain each
// message once.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/config"
)

func main() {
	// First of all, as a SIGHUP that nobody waits for yet ends the process.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	runtime.MemProfileRate = 0 // nobody can ask for the profile, and its samples would take memory
	// If the reader of the standard output exits, the sink that writes there has to get an error instead of the signal.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, end := context.WithCancel(ctx)
	hangup := cli.NewHangup(end)
	go func() {
		for range hangups {
			hangup.Signal()
		}
	}()
	// The first signal drains; the next one ends the process at once.
	context.AfterFunc(ctx, func() {
		stop()
		signal.Stop(hangups)
	})
	log.SetFlags(0)
	p := &cli.Program{
		Env: os.Environ(), In: os.Stdin, Out: os.Stdout, Err: os.Stderr, LimitMemory: debug.SetMemoryLimit,
		CollectAt: debug.SetGCPercent, AfterCollections: cli.AfterCollections, Root: os.DirFS("/"),
		StandardLog: log.SetOutput, Hangup: hangup,
	}
	os.Exit(run(ctx, p, os.Args[1:]))
}

// command is one of the program's commands. Its error decides the exit code (see cli.ExitCode).
type command struct {
	name    string
	summary string
	run     func(ctx context.Context, p *cli.Program, args []string) error
	words   []string // one of which follows the command
}

// commands lists all commands, in the order of the help.
func commands() []command {
	return []command{
		{"run", "read the configured numbers and deliver their messages", runConnector, nil},
		{"demo", "show it at work: a fake 2Chat, the real connector, a real NATS; no account needed", runDemo, nil},
		{"fake", "serve the fake 2Chat on its own, for tests in any language", runFake, nil},
		{"init", "write a first configuration with every key explained", runInit, nil},
		{"check", "check the configuration, the key, the numbers and the sink", runCheck, nil},
		{"explain", "explain what this configuration promises, and what can still be lost or doubled", runExplain, nil},
		{"status", "show the state of a running instance's streams", runStatus, nil},
		{"tail", "follow the events in the sink", runTail, nil},
		{"quarantine", "list, show or replay what could not become an event", runQuarantine, quarantineVerbs},
		{"checkpoint", "show what the sink records of a stream; carry it to another sink, name or base URL", runCheckpoint, checkpointVerbs},
		{"preview", "show messages before and after the privacy settings are applied", runPreview, nil},
		{"audit", "compare 2Chat's list with the log, and restore what is missing", runAudit, nil},
		{"erase", "remove one chat from the sink, and keep it from coming back", runErase, nil},
		{"backfill", "deliver what a stream's first start left out, as a stream of its own", runBackfill, nil},
		{
			"schema", "print the JSON Schema of events, rows and the configuration, or the AsyncAPI document of the channels",
			runSchema, schemaNames,
		},
		{"completion", "print the completion script for bash, zsh or fish", runCompletion, shellNames()},
		{"version", "print the version", printVersion, nil},
	}
}

// run executes a command without ending the process: it returns the exit code.
func run(ctx context.Context, p *cli.Program, args []string) int {
	p.HearLibraries(cli.QuietLogger())
	if len(args) == 0 {
		printHelp(p.Err)
		return cli.ExitUsage
	}
	name, args := args[0], args[1:]
	switch name {
	case "help", "-h", "-help", "--help":
		if name != "help" || len(args) == 0 {
			printHelp(p.Out)
			return cli.ExitFine
		}
		name, args = args[0], []string{"--help"}
	case "-version", "--version":
		name = "version"
	}
	all := commands()
	i := slices.IndexFunc(all, func(c command) bool { return c.name == name })
	if i < 0 {
		err := noSuchCommand(name)
		p.JSON = cli.AsksForJSON(args)
		p.Tell(err)
		return cli.ExitCode(err)
	}
	p.Name = name
	err := all[i].run(ctx, p, args)
	// `run` has promised delivery to whoever reads its output, so a closed output is an error. The output of other
	// commands may be cut, for example by `head`.
	if cli.ReaderLeft(err) && name != "run" {
		return cli.ExitFine
	}
	p.Tell(err)
	return cli.ExitCode(err)
}

// noSuchCommand suggests the command that was probably meant. It does not quote the input, which may be anything.
func noSuchCommand(written string) error {
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	told := "there is no such command; there are " + strings.Join(names, ", ")
	if near := config.Nearest(written, names); near != "" {
		told += "; the nearest is " + near
	}
	return cli.UsageOf(cli.Hinted(errors.New(told), "`twochat-connector help` describes them"))
}

func printHelp(to io.Writer) {
	const summaries = 14 // the column where they begin
	fmt.Fprint(to, "twochat-connector turns 2Chat's WhatsApp messages into ordered streams of\n"+
		"CloudEvents, each message once.\n\nCommands:\n")
	for _, c := range commands() {
		summary := text.Paragraph(c.summary, strings.Repeat(" ", summaries), cli.HelpWidth)
		fmt.Fprintf(to, "  %-*s%s\n", summaries-2, c.name, summary[summaries:])
	}
	fmt.Fprint(to, `
twochat-connector help COMMAND lists a command's flags.

Exit codes: 0 fine, 1 failed, 2 wrong command line or configuration,
3 found something wrong.
`)
}
