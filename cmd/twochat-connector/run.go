package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks"
)

const aboutRun = `
Reads the configured numbers and delivers their messages, until it is told to stop: SIGTERM or ctrl-c finishes the commit
in flight and ends within 25 seconds, a second one ends at once.

With --number alone, and the API key in the environment TWOCHAT_API_KEY, no file is needed: the messages go to a JetStream
server inside the process, with its data in ./twochat-data and its clients at nats://127.0.0.1:4222.
`

// runConnector is the command run.
func runConnector(ctx context.Context, p *program, args []string) error {
	flags := newFlags(p)
	settings := configFlags(flags)
	startFlag(flags, settings)
	var w words
	flags.BoolVar(&settings.Create, "create", false, "make the stream or topics that the broker lacks, with the right settings")
	flags.Var((*firstStart)(&w), "first-start", "where the sink has events of a stream but no checkpoint, or went back: go on after the newest event there; --first-start=30 goes on after sequence 30 at least")
	flags.BoolVar(&w.rekey, "rekey", false, "accept that a changed privacy mode or key moves chats to other keys")
	flags.BoolVar(&w.acceptHistory, "accept-history", false, "deliver what is held because a list lost all that was delivered before")
	partitions := flags.Int("accept-partitions", 0, "accept that chats move, as the Kafka topic now has this `number` of partitions")
	if err := p.parse(flags, args, aboutRun); err != nil {
		return err
	}
	c, err := p.load(settings)
	if err != nil {
		return err
	}
	if err := acceptPartitions(c, *partitions); err != nil {
		return err
	}
	p.saveMemory(c)
	logger := newLogger(c.Log, p.err)
	p.hearLibraries(logger)
	err = connect(ctx, c, w, logger)
	if err == nil || logsText(c.Log, p.err) {
		return err
	}
	// Who reads a log of JSON wants nothing else in it.
	for _, g := range grievances(err) {
		logger.Error("ended", "cause", g.text, "mend", g.mend)
	}
	return &loggedError{err}
}

// firstStart is the flag --first-start, with or without a number.
type firstStart words

func (f *firstStart) String() string { return "" }

// IsBoolFlag says that the number may be left out.
func (f *firstStart) IsBoolFlag() bool { return true }

// Set takes the flag's value.
func (f *firstStart) Set(text string) error {
	f.firstStart, f.after = true, 0
	if said, err := strconv.ParseBool(text); err == nil && text != "0" && text != "1" {
		f.firstStart = said
		return nil
	}
	after, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return errors.New("expected the last sequence that was used before, a whole number such as 30")
	}
	f.after = after
	return nil
}

func acceptPartitions(c *config.Config, partitions int) error {
	switch {
	case partitions == 0:
		return nil
	case partitions < 0:
		return usage("flag --accept-partitions: expected the number of partitions that the topic has now")
	case c.Sink.Kafka == nil:
		return usage("flag --accept-partitions: only the sink kafka has partitions")
	}
	c.Sink.Kafka.AcceptPartitions = partitions
	return nil
}

// drainTime is how long the process may take to stop.
const drainTime = 24 * time.Second

// connect runs the pipeline of a configuration until the context ends.
func connect(ctx context.Context, c *config.Config, w words, logger *slog.Logger) error {
	for _, f := range c.Findings() {
		if f.Level != connector.FindingOK {
			logger.Warn("the configuration can be better", "thing", f.Thing, "finding", f.Text, "mend", f.Mend)
		}
	}
	privacy, err := privacyOf(c)
	if err != nil {
		return err
	}
	client, err := newClient(c, privacy)
	if err != nil {
		return err
	}
	defer client.Close()
	server, err := listenAdmin(c.Admin.Listen)
	if err != nil {
		return err
	}
	defer server.close()
	sink, err := sinks.Open(c.Sink, c.Encoding(), logger)
	if err != nil {
		return err
	}
	registry := newRegistry()
	pipe := newPipeline(parts{config: c, sink: sink, client: client, privacy: privacy.Name(), registry: registry, logger: logger, words: w})
	server.serve(adminHandler(registry, func() report { return pipe.report(time.Now()) }), logger)
	promise := sink.Promise()
	logger.Info("started", "version", versionText(), "instance", pipe.instance, "streams", len(pipe.lanes), "sink", c.Sink.Chosen()[0],
		"start", c.Start, "admin", server.URL(), "once", promise.Once, "promise", promise.Text)

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
		return err
	case <-ctx.Done():
	}
	logger.Info("stopping: the commit in flight is finished first")
	timer := time.NewTimer(drainTime)
	defer timer.Stop()
	select {
	case err := <-done:
		if err == nil {
			logger.Info("stopped")
		}
		return err
	case <-timer.C:
		return errors.New("the sink did not answer in time, so the commit in flight is left to the next start, which asks the sink what became of it")
	}
}
