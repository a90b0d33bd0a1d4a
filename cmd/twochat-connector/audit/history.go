package audit

import (
	"context"
	"errors"
	"fmt"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/backfill"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/history"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// liveStream is the stream whose history is audited: the history is what its list shows below its floor.
type liveStream struct {
	stream     connector.Stream
	checkpoint connector.Checkpoint
}

// pages are those of the list that is compared with the log: the stream's own, or what is below the live stream's floor.
func (one *audited) pages() connector.Pages {
	if one.live == nil {
		return one.account.spare
	}
	return history.New(one.account.spare, one.live.stream, one.live.checkpoint, pipeline.RulesOf(one.account.Config).Page)
}

// polled is the name and the checkpoint of the stream that a running instance polls: the stream itself, or the live one of a history.
func (one *audited) polled() (name string, checkpoint connector.Checkpoint) {
	if one.live == nil {
		return one.claim.Stream.Name, one.checkpoint
	}
	return one.live.stream.Name, one.live.checkpoint
}

// readLive reads the checkpoint of a live stream, which says where its history begins.
func readLive(ctx context.Context, sink sinks.Sink, claim connector.Claim) (*liveStream, error) {
	name := claim.Stream.Name
	live, found, err := pipeline.Peek(ctx, sink, claim)
	switch {
	case err != nil:
		return nil, cli.Hinted(fmt.Errorf("read the checkpoint of stream %s: %w", name, err),
			"`twochat-connector check` shows what is wrong with the sink")
	case !found || !live.Started:
		return nil, cli.Hinted(fmt.Errorf("stream %s has not started yet, so it is not known where its history ends", name),
			"start `twochat-connector run` first; audit may run beside it")
	case len(live.Floor) == 0:
		return nil, cli.Usage("stream %s left nothing out when it first started, so it has no history to audit", name)
	}
	return &liveStream{claim.Stream, live}, claim.Admit(live)
}

// sinkPair are the sink of a history and that of its live stream: the same one, except for files.
type sinkPair struct{ history, live sinks.Sink }

// openHistory opens the sinks of a configuration for a history.
func openHistory(c *config.Config, stream string, live sinks.Sink) (sinkPair, error) {
	if c.Sink.File == nil {
		return sinkPair{live, live}, nil
	}
	own := *c.Sink.File
	own.Path = backfill.FileBeside(own.Path, stream)
	opened, err := sinks.Open(sinks.Config{File: &own}, c.Encoding(), cli.QuietLogger())
	if err != nil {
		return sinkPair{}, errors.Join(err, live.Close())
	}
	return sinkPair{opened, live}, nil
}

// closeLive closes the live stream's sink, if the history has its own.
func (p sinkPair) closeLive() error {
	if p.live == nil || p.live == p.history {
		return nil
	}
	return p.live.Close()
}
