package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// openToRead opens the configured sink to read what it keeps, beside a running connector or without one.
func openToRead(p *cli.Program, c *config.Config) (sinks.Sink, error) {
	if e := c.Sink.Embedded; e != nil {
		if _, err := os.Stat(e.Dir); errors.Is(err, fs.ErrNotExist) { // reading must not make the folder
			return openBeside(p, c)
		}
	}
	sink, _, err := pipeline.OpenSink(c, cli.NewLeveledLogger(p, c.Log, slog.LevelWarn, p.Err))
	return sink, err
}

// openBeside opens the configured sink to follow it beside a running connector. It does not start the embedded server,
// but connects to the running one.
func openBeside(p *cli.Program, c *config.Config) (sinks.Sink, error) {
	chosen := c.Sink
	if chosen.Embedded != nil {
		beside, running := pipeline.BesideEmbedded(chosen)
		if !running {
			return nil, cli.Hinted(fmt.Errorf("no embedded server answers at %s", chosen.Embedded.Listen),
				"start `twochat-connector run`, which runs the server")
		}
		chosen = beside
	}
	return sinks.Open(chosen, c.Encoding(), cli.NewLeveledLogger(p, c.Log, slog.LevelWarn, p.Err))
}
