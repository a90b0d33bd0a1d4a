package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
)

// newFlags makes the flag set of a command; parse prints its help.
func newFlags(p *program) *flag.FlagSet {
	flags := flag.NewFlagSet(p.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	return flags
}

// parse reads the command line. about says what the command does, for its help.
func (p *program) parse(flags *flag.FlagSet, args []string, about string) error {
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(p.out, "twochat-connector %s [flags]\n\n%s\n", p.name, strings.TrimSpace(about))
		p.printFlags(flags)
		return errHelped
	case err != nil:
		p.json = asksForJSON(args)
		return p.wrongFlag(wrongValue(flags, err.Error()))
	case flags.NArg() > 0:
		p.json = asksForJSON(args)
		return p.wrongFlag("expected flags only, found something else among them")
	}
	if f := flags.Lookup("json"); f != nil {
		p.json = f.Value.String() == "true"
	}
	flags.Visit(func(f *flag.Flag) {
		// A variable of the shell that is empty must not mean what leaving the flag out means.
		if value, ok := f.Value.(flag.Getter); ok && value.Get() == "" && err == nil {
			err = p.wrongFlag("flag --" + f.Name + ": expected a value, found nothing")
		}
	})
	return err
}

func (p *program) wrongFlag(text string) error {
	return &usageError{hinted(errors.New(text), "`twochat-connector help "+p.name+"` lists the flags")}
}

// asksForJSON looks for the flag --json in a command line that could not be read.
func asksForJSON(args []string) bool {
	return slices.ContainsFunc(args, func(arg string) bool { return strings.TrimLeft(arg, "-") == "json" && strings.HasPrefix(arg, "-") })
}

var (
	flagOfValue = regexp.MustCompile(`.* for (?:flag )?-([a-z-]+): `)
	plainFlag   = regexp.MustCompile(`^-[a-z-]{1,30}$`)
)

// wrongValue words an error of the package flag without what was written: it may be a secret or somebody's number.
func wrongValue(flags *flag.FlagSet, text string) string {
	if unknown, ok := strings.CutPrefix(text, "flag provided but not defined: "); ok {
		if !plainFlag.MatchString(unknown) {
			return "a flag is unknown"
		}
		var names []string
		flags.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
		words := "flag is unknown: -" + unknown
		if near := config.Nearest(strings.TrimPrefix(unknown, "-"), names); near != "" {
			words += "; the nearest is --" + near
		}
		return words
	}
	if name, ok := strings.CutPrefix(text, "flag needs an argument: -"); ok {
		return "flag --" + name + ": expected a value, found nothing"
	}
	found := flagOfValue.FindStringSubmatch(text)
	if found == nil || flags.Lookup(found[1]) == nil {
		return "a flag cannot be read"
	}
	expected := "another value"
	switch value := flags.Lookup(found[1]).Value.(type) {
	case flag.Getter:
		switch value.Get().(type) {
		case bool:
			expected = "true or false, or nothing for true"
		case int, int64, uint, uint64:
			expected = "a whole number"
		case time.Duration:
			expected = "a length of time such as 20s"
		}
	default:
		expected = strings.TrimPrefix(text[len(found[0]):], "expected ")
	}
	return "flag --" + found[1] + ": expected " + expected
}

func (p *program) printFlags(flags *flag.FlagSet) {
	first := true
	flags.VisitAll(func(f *flag.Flag) {
		if first {
			fmt.Fprint(p.out, "\nFlags:\n")
			first = false
		}
		kind, text := flag.UnquoteUsage(f)
		fmt.Fprintf(p.out, "  --%s", f.Name)
		if kind != "" {
			fmt.Fprintf(p.out, " %s", strings.ToUpper(kind))
		}
		fmt.Fprintf(p.out, "\n        %s\n", text)
	})
}

// configFlags adds the flags that say which configuration is meant, for every command that has one.
func configFlags(flags *flag.FlagSet) *config.Flags {
	c := &config.Flags{}
	flags.StringVar(&c.Config, "config", "", "configuration `file`; twochat-connector.yaml here, else /etc/twochat-connector/config.yaml")
	flags.Func("number", "connected `number` to read, such as +595981048477, instead of the configured ones; may be repeated", func(number string) error {
		if number == "" {
			return errors.New("expected a number, found nothing")
		}
		c.Numbers = append(c.Numbers, number)
		return nil
	})
	flags.StringVar(&c.Sink, "sink", "", "`where` to deliver, instead of the configured sink: nats://host:4222 (JetStream), kafka://host:9092/topic, file:events.jsonl, or - for the standard output")
	return c
}

// startFlag adds the flag of where a stream begins, for commands to which that matters.
func startFlag(flags *flag.FlagSet, c *config.Flags) {
	flags.StringVar(&c.Start, "start", "", "what a stream's first start delivers: now, beginning, or all `since` an age such as 24h or a time such as 2026-01-31T00:00:00Z")
}

// load reads the configuration in force.
func (p *program) load(flags *config.Flags) (*config.Config, error) {
	found := true
	if flags.Config == "" {
		flags.Config, found = config.Find()
	}
	c, err := config.FromFlags(*flags, p.env)
	bare := !found && len(flags.Numbers) == 0
	hint := "write twochat-connector.yaml, name a file with --config, or begin without one: " + config.APIKeyVariable + "=... twochat-connector run --number +595981048477"
	switch {
	case err != nil && bare && !slices.ContainsFunc(p.env, func(v string) bool { return strings.HasPrefix(v, config.VariablePrefix) }):
		return nil, &usageError{hinted(errors.New("there is no configuration: neither twochat-connector.yaml here nor /etc/twochat-connector/config.yaml"), hint)}
	case err != nil && bare:
		return nil, &usageError{hinted(fmt.Errorf("there is no configuration file, and this is wrong with the environment:\n%w", err), hint)}
	case err != nil:
		return nil, &usageError{err}
	}
	return c, nil
}

// loadKeyless is load for commands that do not ask 2Chat anything: they need no key, and where nothing else says what is read,
// no number. named is false where the numbers are invented.
func (p *program) loadKeyless(flags *config.Flags) (c *config.Config, named bool, err error) {
	keyless := p.withoutKey()
	named = true
	if _, found := config.Find(); flags.Config == "" && !found && len(flags.Numbers) == 0 && !slices.ContainsFunc(p.env, func(v string) bool { return strings.HasPrefix(v, config.Variable("twochat.streams")+"=") }) {
		flags.Numbers, named = []string{"+0000000"}, false
	}
	c, err = keyless.load(flags)
	return c, named, err
}

// withoutKey is the program where a key is not missed.
func (p *program) withoutKey() *program {
	keyless := *p
	keyless.env = append([]string{config.APIKeyVariable + "=none"}, p.env...) // of a name given twice the last one counts
	return &keyless
}

// privacyOf is what the configuration says of identifiers and dropped parts. The key of pseudonyms is read here.
func privacyOf(c *config.Config) (twochat.Privacy, error) {
	privacy := twochat.Privacy{Identifiers: twochat.Identifiers(c.Privacy.Identifiers), Drop: c.Privacy.Drop}
	if c.Privacy.KeyFile.Set() {
		key, err := c.Privacy.KeyFile.Read()
		if err != nil {
			return privacy, &usageError{hinted(fmt.Errorf("privacy.key_file: %s", strings.TrimPrefix(err.Error(),
				"read secret: ")),
				"put a key of at least 16 random bytes into a file that this user may read, and the file's path into privacy.key_file")}
		}
		privacy.Secret = []byte(key)
	}
	if err := privacy.Validate(); err != nil {
		return privacy, &usageError{hinted(err, "look at privacy.identifiers, privacy.drop and privacy.key_file; a key is 16 random bytes or more")}
	}
	return privacy, nil
}

func newClient(c *config.Config, privacy twochat.Privacy) (*twochat.Client, error) {
	client, err := twochat.New(twochat.Config{
		BaseURL: c.TwoChat.BaseURL, Key: c.APIKey, Timeout: c.Poll.Timeout, MaxPageBytes: c.Poll.MaxPageBytes,
		Version: versionText(), Privacy: privacy, Rows: c.Events.Data == config.DataRow,
	})
	if err != nil {
		return nil, &usageError{err}
	}
	return client, nil
}

// unknownMembers is the metric of members of items that nobody has seen before.
func unknownMembers(count func() uint64) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Namespace: "twochat_connector", Name: "unknown_members_total",
		Help: "Members of messages that were never seen before and are treated as text, under pseudonyms or where something is dropped.",
	}, func() float64 { return float64(count()) })
}

// newLogger makes the logger: text for a person at a terminal, JSON for machines.
func newLogger(c config.Log, to io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Value.Kind() == slog.KindDuration { // in JSON it would be a count of nanoseconds
			a.Value = slog.StringValue(config.FormatDuration(a.Value.Duration()))
		}
		return a
	}}
	if logsText(c, to) {
		return slog.New(slog.NewTextHandler(to, options))
	}
	return slog.New(slog.NewJSONHandler(to, options))
}

// logsText says whether the log is for a person.
func logsText(c config.Log, to io.Writer) bool {
	return c.Format == "text" || c.Format == "auto" && isTerminal(to)
}

// isTerminal says whether a person is likely to read what is written there.
func isTerminal(to io.Writer) bool {
	file, ok := to.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
