package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/config"
)

// NewFlags makes the flag set of a command. Parse prints its help.
func NewFlags(p *Program) *flag.FlagSet {
	flags := flag.NewFlagSet(p.Name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	return flags
}

// Parse reads a command line that holds only flags. about describes the command, for its help.
func (p *Program) Parse(flags *flag.FlagSet, args []string, about string) error {
	words, err := p.ParseWords(flags, args, about)
	if err == nil && len(words) > 0 {
		p.JSON = AsksForJSON(args)
		return p.wrongFlag("expected only flags, found something else")
	}
	return err
}

// ParseWords reads a command line whose words may stand before, between or after the flags, and returns the words.
// forms are the ways in which the command may be written, for its help: the words, and the flags that belong to them.
func (p *Program) ParseWords(
	flags *flag.FlagSet, args []string, about string, forms ...string,
) (words []string, err error) {
	err = flags.Parse(args)
	for err == nil && flags.NArg() > 0 {
		words = append(words, flags.Arg(0))
		err = flags.Parse(flags.Args()[1:])
	}
	return words, p.parsed(flags, args, about, forms, err)
}

// parsed handles the result of reading a command line.
func (p *Program) parsed(flags *flag.FlagSet, args []string, about string, forms []string, err error) error {
	switch {
	case errors.Is(err, flag.ErrHelp) && p.Describe != nil:
		p.Describe(flags)
		return errHelped
	case errors.Is(err, flag.ErrHelp):
		p.printHelp(flags, about, forms)
		return errHelped
	case err != nil:
		p.JSON = AsksForJSON(args)
		return p.wrongFlag(wrongValue(flags, err.Error()))
	}
	if f := flags.Lookup("json"); f != nil {
		p.JSON = f.Value.String() == "true"
	}
	flags.Visit(func(f *flag.Flag) {
		// An empty shell variable must not have the same effect as omitting the flag.
		if value, ok := f.Value.(flag.Getter); ok && value.Get() == "" && err == nil {
			err = p.wrongFlag("flag --" + f.Name + ": expected a value, found none")
		}
	})
	return err
}

func (p *Program) wrongFlag(text string) error {
	return &UsageError{Hinted(errors.New(text), "`twochat-connector help "+p.Name+"` lists the flags")}
}

// AsksForJSON looks for the flag --json in a command line that could not be read.
func AsksForJSON(args []string) bool {
	return slices.ContainsFunc(args, func(arg string) bool {
		return strings.TrimLeft(arg, "-") == "json" && strings.HasPrefix(arg, "-")
	})
}

var (
	flagOfValue = regexp.MustCompile(`.* for (?:flag )?-([a-z-]+): `)
	plainFlag   = regexp.MustCompile(`^-[a-z-]{1,30}$`)
)

// wrongValue describes an error of the package flag without quoting the input, which may be a secret or a phone number.
func wrongValue(flags *flag.FlagSet, text string) string {
	if unknown, ok := strings.CutPrefix(text, "flag provided but not defined: "); ok {
		if !plainFlag.MatchString(unknown) {
			return "unknown flag"
		}
		var names []string
		flags.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
		words := "unknown flag: -" + unknown
		if near := config.Nearest(strings.TrimPrefix(unknown, "-"), names); near != "" {
			words += "; the nearest is --" + near
		}
		return words
	}
	if name, ok := strings.CutPrefix(text, "flag needs an argument: -"); ok {
		return "flag --" + name + ": expected a value, found none"
	}
	found := flagOfValue.FindStringSubmatch(text)
	if found == nil || flags.Lookup(found[1]) == nil {
		return "a flag has an invalid value"
	}
	expected := "a different value"
	switch value := flags.Lookup(found[1]).Value.(type) {
	case flag.Getter:
		switch value.Get().(type) {
		case bool:
			expected = "true or false, or no value for true"
		case int, int64, uint, uint64:
			expected = "a whole number"
		case time.Duration:
			expected = "a duration such as 20s"
		}
	default:
		expected = strings.TrimPrefix(text[len(found[0]):], "expected ")
	}
	return "flag --" + found[1] + ": expected " + expected
}

// ConfigFlags adds the flags that select the configuration. Every command that reads one has them.
func ConfigFlags(flags *flag.FlagSet) *config.Flags {
	c := &config.Flags{}
	flags.StringVar(&c.Config, "config", "",
		"configuration `file`; by default twochat-connector.yaml in this folder, else /etc/twochat-connector/config.yaml")
	flags.Func("number", "connected `number` to read, such as +595981048477, instead of the configured ones; may be repeated", func(number string) error {
		if number == "" {
			return errors.New("expected a number, found none")
		}
		c.Numbers = append(c.Numbers, number)
		return nil
	})
	flags.StringVar(&c.Sink, "sink", "",
		"`where` to deliver, instead of the configured sink: nats://host:4222 (JetStream), kafka://host:9092/topic, file:events.jsonl, or - for standard output")
	return c
}

// Given reports whether a flag was given on the command line.
func Given(flags *flag.FlagSet, name string) bool {
	given := false
	flags.Visit(func(f *flag.Flag) { given = given || f.Name == name })
	return given
}

// StartFlag adds the flag that says where a stream begins, for the commands that use it.
func StartFlag(flags *flag.FlagSet, c *config.Flags) {
	flags.StringVar(&c.Start, "start", "",
		"what a stream's first start delivers: now, beginning, or all `since` an age such as 24h or a time such as 2026-01-31T00:00:00Z")
}

// Load reads the configuration in force.
func (p *Program) Load(flags *config.Flags) (*config.Config, error) {
	found := true
	if flags.Config == "" {
		flags.Config, found = config.Find()
	}
	p.begun(flags)
	wanted := *flags
	wanted.Keyless = p.keyless
	c, err := config.FromFlags(wanted, p.Env)
	bare := !found && len(flags.Numbers) == 0
	hint := "write twochat-connector.yaml, name a file with --config, or begin without one: " + config.APIKeyVariable +
		"=... twochat-connector run --number +595981048477"
	switch {
	case err != nil && bare && !slices.ContainsFunc(p.Env, func(v string) bool {
		return strings.HasPrefix(v, config.VariablePrefix)
	}):
		return nil, &UsageError{Hinted(errors.New(
			"there is no configuration: neither twochat-connector.yaml in this folder nor /etc/twochat-connector/config.yaml exists"), hint)}
	case err != nil && bare:
		return nil, &UsageError{Hinted(fmt.Errorf(
			"there is no configuration file, and the environment has these problems:\n%w", err), hint)}
	case err != nil:
		return nil, &UsageError{err}
	}
	return c, nil
}

// LoadKeyless loads the configuration for commands that make no request to 2Chat. They need no key and, if nothing else
// names a number, no number. named is false if the number is a placeholder.
func (p *Program) LoadKeyless(flags *config.Flags) (c *config.Config, named bool, err error) {
	p.begun(flags) // without the number that stands for none
	keyless := p.WithoutKey()
	named = true
	if _, found := config.Find(); flags.Config == "" && !found && len(flags.Numbers) == 0 &&
		!slices.ContainsFunc(p.Env, func(v string) bool {
			return strings.HasPrefix(v, config.Variable("twochat.streams")+"=")
		}) {
		flags.Numbers, named = []string{"+0000000"}, false
	}
	c, err = keyless.Load(flags)
	return c, named, err
}

// WithoutKey returns a copy of the program that does not require an API key.
func (p *Program) WithoutKey() *Program {
	keyless := *p
	keyless.keyless = true
	return &keyless
}
