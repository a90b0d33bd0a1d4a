package backfill

import (
	"errors"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// sinkPair is where a backfill looks up the live stream, and where it writes.
type sinkPair struct {
	live, history sinks.Sink // the same one, except for files
	file          string     // that takes the history, if it has its own
}

// open opens the sinks. If a running instance serves the embedded server, open connects to it as a client. A file is
// held by the one process that writes it, so the history gets its own file beside the live stream's: then it does not
// matter whether `run` is running.
func (b *Engine) open() (sinkPair, error) {
	chosen := b.config.Sink
	switch {
	case chosen.NATS != nil, chosen.Stdout != nil:
		return sinkPair{}, cli.Usage("the sink %s keeps no events, so it cannot take a history; backfill needs jetstream, kafka, embedded or file", chosen.Chosen()[0])
	case chosen.Embedded != nil:
		if beside, running := pipeline.BesideEmbedded(chosen); running {
			b.logger.Info("the embedded server is running; writing to it", "url", beside.JetStream.URL)
			chosen = beside
		}
	}
	live, err := sinks.Open(chosen, b.config.Encoding(), b.logger)
	if err != nil || chosen.File == nil {
		return sinkPair{live: live, history: live}, err
	}
	own := *chosen.File
	own.Path = FileBeside(own.Path, connector.HistoryStream(b.live).Name)
	history, err := sinks.Open(sinks.Config{File: &own}, b.config.Encoding(), b.logger)
	if err != nil {
		return sinkPair{}, errors.Join(err, live.Close())
	}
	return sinkPair{live: live, history: history, file: own.Path}, nil
}

// FileBeside is the file of a stream beside another one: events.support-history.jsonl beside events.jsonl.
func FileBeside(path, stream string) string {
	extension := filepath.Ext(path)
	return strings.TrimSuffix(path, extension) + "." + connector.SubjectToken(stream) + extension
}

func (p sinkPair) close(logger *slog.Logger) {
	err := p.history.Close()
	if p.live != p.history {
		err = errors.Join(err, p.live.Close())
	}
	if err != nil {
		logger.Warn("close the sink", "cause", err)
	}
}
