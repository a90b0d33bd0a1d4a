package checkpoint

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// Engine is one run of the command checkpoint.
type Engine struct {
	program *cli.Program
	config  *config.Config
	named   bool // the configuration names the numbers to be read
	options Options
	logger  *slog.Logger

	instance string
	all      []connector.Claim // of every configured stream
	sink     sinks.Sink
	beside   bool // a running instance serves the embedded sink
}

// Options are the options that all subcommands share.
type Options struct {
	// TakeOver acts even if an instance is running, or may be.
	TakeOver bool
	// Rekey accepts that chats get other tokens from now on.
	Rekey bool
	JSON  bool
}

// New makes a run. named is false if the numbers of the configuration are invented.
func New(p *cli.Program, c *config.Config, named bool, o Options) (*Engine, error) {
	instance := ownerPrefix + rand.Text()
	all, err := pipeline.AllClaims(c, instance, pipeline.Overrides{})
	for i := range all {
		all[i].Rekey = o.Rekey
	}
	return &Engine{
		program: p, config: c, named: named, options: o,
		logger: cli.NewLeveledLogger(p, c.Log, slog.LevelWarn, p.Err), instance: instance, all: all,
	}, err
}

// open opens the sink. If it is only read, nothing that is missing is created.
func (e *Engine) open(reads bool) error {
	if s := e.config.Sink.Stdout; s != nil && s.State == "" {
		return cli.Hinted(errors.New("the standard output without a state keeps no checkpoint: every start is a first start"),
			"name a folder for it with sink.stdout.state")
	}
	if path := lacking(e.config.Sink); reads && path != "" {
		return cli.Hinted(fmt.Errorf(noSink, path), noSinkHint)
	}
	var err error
	e.sink, e.beside, err = pipeline.OpenSink(e.config, e.logger)
	return err
}

const (
	noSink     = "there is no %s, and so no checkpoint"
	noSinkHint = "correct the path in the configuration; `twochat-connector check` says whether `run` makes it, or what it needs"
)

// lacking is the path that is missing of a sink that is kept in files of this machine; "" if none is.
func lacking(chosen sinks.Config) string {
	path := ""
	switch {
	case chosen.File != nil:
		path = chosen.File.Path
	case chosen.Embedded != nil:
		if _, running := pipeline.BesideEmbedded(chosen); running {
			return ""
		}
		path = filepath.Join(chosen.Embedded.Dir, "jetstream")
	case chosen.NATS != nil:
		path = chosen.NATS.State
	case chosen.Stdout != nil:
		path = chosen.Stdout.State
	}
	if path == "" {
		return ""
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return path
}

// close closes the sink.
func (e *Engine) close() {
	if err := e.sink.Close(); err != nil {
		e.logger.Warn("close the sink", "cause", err)
	}
}

// claims returns for each configured stream what its checkpoint has to match; only for a name, if it is not "".
func (e *Engine) claims(name string) []connector.Claim {
	var claims []connector.Claim
	if e.named {
		for _, claim := range e.all {
			if name == "" || claim.Stream.Name == name {
				claims = append(claims, claim)
			}
		}
	}
	return claims
}

// peek reads a stream's checkpoint without taking the stream over.
func (e *Engine) peek(ctx context.Context, claim connector.Claim) (connector.Checkpoint, bool, error) {
	c, found, err := pipeline.Peek(ctx, e.sink, claim)
	var refusal *connector.Refusal
	if err != nil && ctx.Err() == nil && !errors.As(err, &refusal) {
		err = cli.Hinted(fmt.Errorf("read the checkpoint of stream %s: %w", claim.Stream.Name, err),
			"`twochat-connector check` shows what is wrong with the sink")
	}
	return c, found, err
}
