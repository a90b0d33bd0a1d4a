package main

import (
	"fmt"
	"log/slog"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// openBeside opens the configured sink to read from it beside a running connector. It does not start the embedded
// server, but connects to the running one.
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
