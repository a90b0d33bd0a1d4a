package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
)

// reloadEvery is how often the configuration file is read. A change counts once it was read twice, so that a file that is
// just being written is not taken for a shorter one. Reading the content sees whatever replaces a file, a ConfigMap's
// links too, on every file system.
const reloadEvery = 2 * time.Second

// reloader watches the configuration file of a running instance, and lets the pipeline take over what changes. Only run
// uses it.
type reloader struct {
	program   *cli.Program
	settings  config.Flags // with the file
	overrides *pipeline.Overrides
	pipe      *pipeline.Pipeline
	level     *slog.LevelVar
	logger    *slog.Logger
	hangup    chan struct{} // holds a token for a SIGHUP that was not handled yet

	running *config.Config
	inForce fingerprint // of the file that runs
	refused fingerprint // of the file that was refused last
	seen    fingerprint // of the file as it was read last
}

// fingerprint tells the contents of files apart. The zero value is that of a file that cannot be read.
type fingerprint [sha256.Size]byte

func (r *reloader) read() fingerprint {
	content, err := os.ReadFile(r.settings.Config)
	if err != nil {
		return fingerprint{}
	}
	return sha256.Sum256(content)
}

// begin watches the file of a pipeline until the returned function is called. The pipeline runs until the context ends.
func (r *reloader) begin(ctx context.Context, pipe *pipeline.Pipeline) (stop func()) {
	r.pipe = pipe
	r.loaded()
	if r.settings.Config == "" {
		return func() {}
	}
	r.inForce = r.read()
	r.seen = r.inForce
	r.take(r.program.Hangup)
	watching, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() { r.watch(watching, ctx) })
	return func() {
		cancel()
		work.Wait()
	}
}

// loaded records that the configuration in force is that of the file now.
func (r *reloader) loaded() {
	r.pipe.Configuration.Set(pipeline.Configuration{InForce: r.program.InForce(), Loaded: time.Now().UTC()})
}

// take makes SIGHUP reload the file. At a terminal it still ends the program, as it means there that the terminal is
// closed.
func (r *reloader) take(hangup *cli.Hangup) {
	if hangup == nil || text.IsTerminal(r.program.Err) {
		return
	}
	hangup.Take(func() {
		select {
		case r.hangup <- struct{}{}:
		default:
		}
	})
}

// watch looks at the file until the context ends. running is the context of the pipeline.
func (r *reloader) watch(ctx, running context.Context) {
	ticker := time.NewTicker(reloadEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.hangup:
			r.reload(running, r.read())
		case <-ticker.C:
			r.look(running)
		}
	}
}

// look reloads the file if it has changed and does not change any more.
func (r *reloader) look(ctx context.Context) {
	now := r.read()
	settled := now == r.seen
	r.seen = now
	switch {
	case !settled, now == r.refused:
	case now != r.inForce:
		r.reload(ctx, now)
	case r.refused != fingerprint{} || r.pipe.Configuration.Current().Refused != "":
		r.refused = fingerprint{}
		r.loaded()
		r.logger.Info("the configuration file is the one in force again", "file", r.settings.Config)
	}
}

// reload takes the file over, or refuses it whole and leaves everything as it is.
func (r *reloader) reload(ctx context.Context, now fingerprint) {
	next, err := r.load()
	var done pipeline.Reloaded
	if err == nil {
		done, err = r.pipe.Reload(ctx, next)
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		r.refuse(now, err)
		return
	}
	for _, f := range next.Findings() {
		if f.Level != connector.FindingOK && !slices.Contains(r.running.Findings(), f) {
			r.logger.Warn("the configuration can be improved", "thing", f.Thing, "finding", f.Text, "hint", f.Hint)
		}
	}
	r.level.Set(cli.LogLevel(next.Log))
	r.program.SaveMemory(next)
	r.running, r.inForce, r.refused = next, now, fingerprint{}
	r.loaded()
	r.logger.Info("configuration reloaded", "file", r.settings.Config, "streams_begun", done.Begun, "streams_ended",
		done.Ended, "streams_kept", done.Kept)
}

// load reads the file as a start of the program would, and refuses what needs a restart.
func (r *reloader) load() (*config.Config, error) {
	settings := r.settings
	next, err := r.program.Load(&settings)
	if err == nil {
		err = r.overrides.Apply(next)
	}
	if err != nil {
		return nil, err
	}
	if keys := config.NeedsRestart(next, r.running); len(keys) > 0 {
		hint := "restart the program; nothing of the file is in force before"
		if slices.ContainsFunc(keys, func(key string) bool { return strings.HasSuffix(key, "base_url") }) {
			hint = "a list is known by its address: stop the program, take the streams along with `twochat-connector checkpoint " +
				"move --from FORMER-URL`, and start it; nothing of the file is in force before"
		}
		return nil, cli.Hinted(fmt.Errorf("a change of these keys needs a restart: %s", strings.Join(keys, ", ")), hint)
	}
	return next, nil
}

// refuse says once of a file why it is not taken over.
func (r *reloader) refuse(now fingerprint, err error) {
	r.refused = now
	var causes []string
	hint := "`twochat-connector check --offline` shows what is wrong with the file"
	for _, problem := range cli.Problems(err) {
		causes = append(causes, problem.Text)
		if problem.Hint != "" {
			hint = problem.Hint
		}
	}
	hint = r.program.Hint(hint)
	was := r.pipe.Configuration.Current()
	was.RefusedAt, was.Refused, was.Hint = time.Now().UTC(), strings.Join(causes, "\n"), hint
	r.pipe.Configuration.Set(was)
	r.logger.Error("the configuration file has changed and is refused; the configuration before it stays in force",
		"file", r.settings.Config, "cause", was.Refused, "hint", hint)
}
