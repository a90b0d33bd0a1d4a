package main

import (
	"log/slog"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/traces"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
)

const (
	// flushTime is how long the last traces may take to be sent when the program stops.
	flushTime = 3 * time.Second
	// stopLimit is how long the program takes to stop at most, the last traces included.
	stopLimit = pipeline.StopTime + 500*time.Millisecond
)

// startTraces begins to trace, if that is configured. A mistake in its settings is logged and keeps nothing from being
// delivered: variables of OpenTelemetry are often set for a whole cluster.
func startTraces(c *config.Config, env []string, logger *slog.Logger) (tracing pipeline.Tracing, end func(time.Duration)) {
	none := func(time.Duration) {}
	settings, err := traces.SettingsOf(c, env)
	if err == nil && !settings.On() {
		return nil, none
	}
	var tracer *traces.Tracer
	if err == nil {
		tracer, err = traces.Start(settings, c.Sink.Chosen()[0], cli.Version(), logger)
	}
	if err != nil {
		for _, g := range cli.Problems(err) {
			logger.Warn("no traces are sent", "cause", g.Text, "hint", g.Hint)
		}
		return nil, none
	}
	return tracer, tracer.Close
}

// flushWithin is how long the last traces may take after stopping took so long.
func flushWithin(took time.Duration) time.Duration { return max(0, min(flushTime, stopLimit-took)) }

// traces looks whether traces can be sent as configured. It sends none.
func (k *check) traces() {
	settings, err := traces.SettingsOf(k.config, k.p.Env)
	if err == nil && settings.On() {
		k.ok("traces", "sent over OTLP/HTTP, if the receiver takes them; events have a traceparent")
		return
	}
	if err == nil {
		return
	}
	for _, g := range cli.Problems(err) {
		k.add(connector.Finding{Level: connector.FindingWarning, Thing: "traces", Text: g.Text, Hint: g.Hint})
	}
}
