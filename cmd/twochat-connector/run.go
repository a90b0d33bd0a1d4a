package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/admin"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks"
)

const aboutRun = `
Reads the configured numbers and delivers their messages, until it is told to
stop: after SIGTERM or ctrl-c it finishes the commit in progress and exits within
25 seconds; a second signal ends it at once.

It takes over a changed configuration file by itself, or at once after SIGHUP:
streams, accounts, intervals and limits. A file that is wrong changes nothing,
and status says so. At a terminal, SIGHUP ends it as SIGTERM does.

With just --number, and the API key in the environment variable TWOCHAT_API_KEY,
no file is needed: the messages go to a JetStream server inside the process, with
its data in ./twochat-data and its clients at nats://127.0.0.1:4222.
`

// runConnector is the command run.
func runConnector(ctx context.Context, p *cli.Program, args []string) error {
	flags := cli.NewFlags(p)
	settings := cli.ConfigFlags(flags)
	cli.StartFlag(flags, settings)
	w := pipeline.OverrideFlags(flags, settings)
	flags.BoolVar(&w.AcceptHistory, "accept-history", false,
		"deliver once what is held because a list lost all that was delivered before; to use it again, run once without it")
	if err := p.Parse(flags, args, aboutRun); err != nil {
		return err
	}
	c, err := p.Load(settings)
	if err != nil {
		return err
	}
	if err := w.Apply(c); err != nil {
		return err
	}
	p.SaveMemory(c)
	level := new(slog.LevelVar)
	level.Set(cli.LogLevel(c.Log))
	logger := cli.NewLeveledLogger(p, c.Log, level, p.Err)
	p.HearLibraries(logger)
	err = connect(ctx, c, &reloader{
		program: p, settings: *settings, overrides: w, level: level, logger: logger, running: c,
		hangup: make(chan struct{}, 1),
	})
	if err == nil || cli.LogsText(c.Log, p.Err) {
		return err
	}
	// A log in JSON must contain nothing else, so the errors are logged too.
	for _, g := range cli.Problems(err) {
		logger.Error("ended", "cause", g.Text, "hint", g.Hint)
	}
	return cli.Logged(err)
}

// about reports whether one of the errors that end the start is about this thing. If so, it is reported there.
func about(errs []error, thing string) bool {
	for _, err := range errs {
		if slices.ContainsFunc(cli.Problems(err), func(g cli.Problem) bool { return strings.HasPrefix(g.Text, thing+": ") }) {
			return true
		}
	}
	return false
}

// place is where this process runs, so that no other can at the same time: the host's name and the port of the admin
// server. It is empty if that is not known.
func place(adminURL string) string {
	host, err := os.Hostname()
	at, wrong := url.Parse(adminURL)
	if err != nil || wrong != nil || at.Port() == "" {
		return ""
	}
	return net.JoinHostPort(host, at.Port())
}

// connect runs the pipeline of a configuration until the context ends.
func connect(ctx context.Context, c *config.Config, r *reloader) error {
	logger := r.logger
	set, wrong := openResources(c, func() (sinks.Sink, error) { return sinks.Open(c.Sink, c.Encoding(), logger) })
	for _, f := range c.Findings() {
		// A file that the sink cannot use is reported by the sink, as long as that lasts.
		told := about(wrong, f.Thing) || f.Level == connector.FindingRefused && strings.HasPrefix(f.Thing, "sink.")
		if f.Level != connector.FindingOK && !told {
			logger.Warn("the configuration can be improved", "thing", f.Thing, "finding", f.Text, "hint", f.Hint)
		}
	}
	if len(wrong) > 0 {
		return errors.Join(cli.Together(wrong), set.close())
	}
	defer set.closeClients()
	defer set.server.Close()
	sink := set.sink
	registry := admin.NewRegistry()
	tracing, endTraces := startTraces(c, r.program.Env, logger)
	pipe := pipeline.New(pipeline.Parts{
		Config: c, Sink: sink, Sources: set.sources, Registry: registry, Logger: logger, Overrides: *r.overrides,
		Tracing: tracing, Label: place(set.server.URL()),
	})
	set.server.Namespace = r.program.Namespace()
	set.server.Serve(admin.Handler(registry, tracing != nil, func() pipeline.Report {
		return pipe.Report(time.Now())
	}), logger)
	promise := sink.Promise()
	logger.Info("started", "version", cli.Version(), "instance", pipe.Instance, "streams", len(pipe.Claims), "sink",
		c.Sink.Chosen()[0],
		"start", c.Start, "admin", set.server.URL(), "once", promise.Once, "promise", promise.Text)

	defer r.begin(ctx, pipe)()
	done := make(chan error, 1)
	go func() {
		err := pipe.Run(ctx)
		if closing := sink.Close(); closing != nil {
			err = errors.Join(err, fmt.Errorf("close the sink: %w", closing))
		}
		done <- err
	}()
	select {
	case err := <-done:
		endTraces(flushTime)
		return err
	case <-ctx.Done():
	}
	stopping := time.Now()
	logger.Info("stopping after the commit in progress")
	timer := time.NewTimer(pipeline.StopTime)
	defer timer.Stop()
	select {
	case err := <-done:
		endTraces(flushWithin(time.Since(stopping)))
		if err == nil {
			logger.Info("stopped")
		}
		return err
	case <-timer.C:
		return errors.New(pipe.Unfinished(time.Now()))
	}
}
