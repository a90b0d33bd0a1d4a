package pipeline

import (
	"log/slog"

	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// OpenSink opens the configured sink for a command. Where a running instance serves the embedded one it is reached as a
// client of that server, and beside is true.
func OpenSink(c *config.Config, logger *slog.Logger) (sink sinks.Sink, beside bool, err error) {
	chosen := c.Sink
	if chosen.Embedded != nil {
		if client, running := BesideEmbedded(chosen); running {
			chosen, beside = client, true
		}
	}
	sink, err = sinks.Open(chosen, c.Encoding(), logger)
	return sink, beside, err
}
