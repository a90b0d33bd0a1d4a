package main

import (
	"errors"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// backfillPlace is where a backfill looks up the live stream, and where it writes.
type backfillPlace struct {
	live, history sinks.Sink // the same one, but for files
	file          string     // that takes the history, where it has one of its own
}

// open makes the sinks. Where a running instance serves the embedded one it is written to as a client of that server. A file is
// held by the one process that writes it, so the history gets a file of its own beside the live stream's: whether `run` is
// running does not matter then.
func (b *backfill) open() (backfillPlace, error) {
	chosen := b.config.Sink
	switch {
	case chosen.NATS != nil, chosen.Stdout != nil:
		return backfillPlace{}, usage("the sink %s keeps no events, so nothing tells what is history; backfill needs jetstream, kafka, embedded or file", chosen.Chosen()[0])
	case chosen.Embedded != nil:
		if beside, running := besideEmbedded(chosen); running {
			b.logger.Info("the embedded server is running; writing to it", "url", beside.JetStream.URL)
			chosen = beside
		}
	}
	live, err := sinks.Open(chosen, b.config.Encoding(), b.logger)
	if err != nil || chosen.File == nil {
		return backfillPlace{live: live, history: live}, err
	}
	own := *chosen.File
	own.Path = fileBeside(own.Path, connector.HistoryStream(b.live).Name)
	history, err := sinks.Open(sinks.Config{File: &own}, b.config.Encoding(), b.logger)
	if err != nil {
		return backfillPlace{}, errors.Join(err, live.Close())
	}
	return backfillPlace{live: live, history: history, file: own.Path}, nil
}

// fileBeside is the file of a stream beside another one: events.support-history.jsonl beside events.jsonl.
func fileBeside(path, stream string) string {
	extension := filepath.Ext(path)
	return strings.TrimSuffix(path, extension) + "." + connector.SubjectToken(stream) + extension
}

func (p backfillPlace) close(logger *slog.Logger) {
	err := p.history.Close()
	if p.live != p.history {
		err = errors.Join(err, p.live.Close())
	}
	if err != nil {
		logger.Warn("close the sink", "cause", err)
	}
}
