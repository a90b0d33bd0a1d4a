package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/config"
)

const aboutInit = `
Writes a first configuration: every key for a sink with its meaning. Keys whose
value is the default are commented out. It goes to twochat-connector.yaml in this
folder, where the other commands find it, or to --config FILE; with a single - it
is printed: twochat-connector init - --sink kafka://host:9092/topic.

Without --sink the events go to a JetStream server inside the process. An
existing file is replaced only with --force.
`

// exampleNumber is the number in the configuration if none was given.
const exampleNumber = "+595981048477"

// runInit is the command init.
func runInit(_ context.Context, p *cli.Program, args []string) error {
	// A single dash is not a flag. A dash after a flag that takes a value is that value.
	printed := len(args) > 0 && args[0] == "-"
	if last := len(args) - 1; last > 0 && args[last] == "-" && args[last-1] == "--force" {
		printed, args = true, args[:last]
	} else if printed {
		args = args[1:]
	}
	flags := cli.NewFlags(p)
	settings := cli.ConfigFlags(flags)
	flags.Lookup("config").Usage = "`file` to write, or - to print it; by default twochat-connector.yaml in this folder"
	cli.StartFlag(flags, settings)
	force := flags.Bool("force", false, "replace an existing file")
	if err := p.Parse(flags, args, aboutInit); err != nil {
		return err
	}
	path := settings.Config
	if path == "" {
		path = config.DefaultPath
	}
	printed = printed || path == "-"
	wanted := *settings
	wanted.Config = ""
	numbered := len(wanted.Numbers) > 0
	if !numbered {
		wanted.Numbers = []string{exampleNumber}
	}
	// The environment is ignored: it is in force anyway, and does not belong in the file.
	c, err := config.FromFlags(wanted, []string{config.APIKeyVariable + "=none"})
	if err != nil {
		return cli.UsageOf(err)
	}
	create(c)
	content := c.Draft()
	if printed {
		return writeAll(p.Out, content)
	}
	if err := writeNew(path, content, *force); err != nil {
		return err
	}
	next := "Next:\n"
	if !numbered {
		next += "  put your connected number into twochat.streams, in place of the example\n"
	}
	next += "  export " + config.APIKeyVariable + "=…\n  twochat-connector check" + configFlag(path) +
		"\n  twochat-connector run" + configFlag(path) + "\n"
	return writeAll(p.Out, []byte(path+" was written. "+next))
}

// create turns on the creation of streams and topics: whoever writes a first configuration has none yet.
func create(c *config.Config) {
	if c.Sink.JetStream != nil {
		c.Sink.JetStream.Create = true
	}
	if c.Sink.Kafka != nil {
		c.Sink.Kafka.Create = true
	}
}

// configFlag is the --config flag for a file that the commands do not find by themselves.
func configFlag(path string) string {
	if path == config.DefaultPath {
		return ""
	}
	return " --config " + path
}

// writeNew writes a file. It replaces an existing one only with force.
func writeNew(path string, content []byte, force bool) error {
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
		if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
			return cli.Hinted(fmt.Errorf("file %s: it is not a regular file", path), "name another one with --config")
		}
	}
	file, err := os.OpenFile(path, flags, 0o644)
	switch {
	case errors.Is(err, fs.ErrExist):
		return cli.Hinted(fmt.Errorf("file %s: it exists already", path),
			"--force replaces it, --config writes another file, and a single - prints the configuration")
	case err == nil:
		_, err = file.Write(content)
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		var known *fs.PathError
		if errors.As(err, &known) {
			err = known.Err
		}
		return cli.Hinted(fmt.Errorf("file %s: it cannot be written: %w", path, err), "name another one with --config")
	}
	return nil
}
