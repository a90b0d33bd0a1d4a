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
Writes a configuration to go on with: every key that it may have for a sink,
with what it means, those commented out that have this value anyway. It goes to
twochat-connector.yaml in this folder, where the other commands find it, or to
--config FILE; with a single - it is printed: twochat-connector init - --sink
kafka://host:9092/topic.

Without --sink the events go to a JetStream server inside the process. A file
that is there is not touched, but with --force.
`

// exampleNumber stands where no number was given.
const exampleNumber = "+595981048477"

// runInit is the command init.
func runInit(_ context.Context, p *cli.Program, args []string) error {
	// A dash alone is no flag. One that follows a flag with a value is that value.
	printed := len(args) > 0 && args[0] == "-"
	if last := len(args) - 1; last > 0 && args[last] == "-" && args[last-1] == "--force" {
		printed, args = true, args[:last]
	} else if printed {
		args = args[1:]
	}
	flags := cli.NewFlags(p)
	settings := cli.ConfigFlags(flags)
	flags.Lookup("config").Usage = "`file` to write, or - to print it; twochat-connector.yaml here"
	cli.StartFlag(flags, settings)
	force := flags.Bool("force", false, "replace a file that is there")
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
	// Nothing of the environment: what it says is in force without being written down.
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
	return writeAll(p.Out, []byte(path+" is written. "+next))
}

// create has what a broker lacks be made: who writes a first configuration has none of it yet.
func create(c *config.Config) {
	if c.Sink.JetStream != nil {
		c.Sink.JetStream.Create = true
	}
	if c.Sink.Kafka != nil {
		c.Sink.Kafka.Create = true
	}
}

// configFlag names a file that the commands do not find by themselves.
func configFlag(path string) string {
	if path == config.DefaultPath {
		return ""
	}
	return " --config " + path
}

// writeNew writes a file. One that is there is replaced only by force.
func writeNew(path string, content []byte, force bool) error {
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
		if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
			return cli.Hinted(fmt.Errorf("file %s: it is no regular file", path), "name another one with --config")
		}
	}
	file, err := os.OpenFile(path, flags, 0o644)
	switch {
	case errors.Is(err, fs.ErrExist):
		return cli.Hinted(fmt.Errorf("file %s: it is there already", path),
			"look at what it holds; --force replaces it, --config writes another one, and a single - prints it")
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
