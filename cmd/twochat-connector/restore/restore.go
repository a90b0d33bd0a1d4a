// Package restore delivers to a stream, as late and exactly once, what its log lacks. audit --repair and quarantine
// replay use it.
package restore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/admin"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/reader"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// Restorer takes streams over, one after the other, and delivers what their logs lack.
type Restorer struct {
	Config *config.Config
	Sink   sinks.Sink
	Logger *slog.Logger
	// Word is the name of the action: repair or replay.
	Word string
	// Beside hands each stream back afterwards to the instance that it was taken from.
	Beside bool
	// Left, if not nil, returns after the delivery how many messages still lie in the quarantine, all of which was read.
	Left func() uint64
}

// Restored is what was delivered.
type Restored struct {
	Delivered   int
	Quarantined int    // the sink refuses them permanently
	First, Last uint64 // sequences; 0 if nothing was delivered
}

// Admitted returns an error, before anything is done, if the streams could not be taken over. answers is true if an
// instance that runs with this configuration answered.
func (r *Restorer) Admitted(ctx context.Context, claims []connector.Claim, answers, takeOver bool) error {
	if answers && !takeOver && r.Config.Sink.File == nil {
		return cli.Hinted(fmt.Errorf("an instance is running with this configuration, and a %s takes over its streams", r.Word),
			"stop it, or use --take-over: then it stands down while the "+r.Word+
				" writes, and continues by itself after a few intervals")
	}
	for _, claim := range claims {
		if err := r.Sink.CheckAcquire(ctx, claim); err != nil {
			return fmt.Errorf("%s stream %s: %w", r.Word, claim.Stream.Name, err)
		}
	}
	return nil
}

// Answers reports whether an instance that runs with this configuration answers, that is, whether its admin server
// knows one of the streams.
func (r *Restorer) Answers(ctx context.Context, claims []connector.Claim) bool {
	for _, claim := range claims {
		if admin.Answers(ctx, r.Config, claim.Stream.Name) {
			return true
		}
	}
	return false
}

// maxTakeOvers is how often a stream is taken over from a running instance before the instance is left to itself.
const maxTakeOvers = 10

// Run takes a stream over and delivers what lacking returns. lacking is called when nobody else can write to the log
// any more, so what it finds there is final. If Run is interrupted, what was committed is in the log, and the next run
// finds it there. An instance that stood down for the command goes on when the command has to wait for long, for example
// as JetStream remembers the ids of events that were deleted: then Run takes the stream over once more.
func (r *Restorer) Run(
	ctx context.Context, claim connector.Claim, lacking func() ([]reader.Missing, error),
) (Restored, error) {
	var all Restored
	for tries := 1; ; tries++ {
		done, fenced, err := r.attempt(ctx, claim, lacking)
		all.add(done)
		if !fenced || !r.Beside || tries == maxTakeOvers {
			return all, err
		}
		r.Logger.Warn("the running instance went on meanwhile; the stream is taken over once more", "command", r.Word,
			"stream", claim.Stream.Name)
	}
}

// add adds what a further attempt delivered.
func (r *Restored) add(more Restored) {
	r.Delivered += more.Delivered
	r.Quarantined += more.Quarantined
	r.First, r.Last = cmp.Or(r.First, more.First), cmp.Or(more.Last, r.Last)
}

// attempt is Run until another instance takes the stream over: then fenced is true.
func (r *Restorer) attempt(
	ctx context.Context, claim connector.Claim, lacking func() ([]reader.Missing, error),
) (done Restored, fenced bool, err error) {
	log := r.Sink.Log(claim)
	owned := false
	defer func() {
		pipeline.GiveUp(log, r.Logger)
		if owned && r.Beside {
			pipeline.HandBack(ctx, r.Sink, claim, r.Logger)
		}
	}()
	waits := &sinkRetry{logger: r.Logger, word: r.Word, pause: connector.NewBackoff(250*time.Millisecond, 10*time.Second)}
	session := reader.NewSession(nil, log, reader.Reading{ // it reads no pages
		Stream: claim.Stream, Rules: pipeline.RulesOf(r.Config), Events: r.Config.EventSettings(), Retry: waits,
	}, connector.Start{})
	defer session.Close()
	for {
		err := session.Acquire(ctx)
		if err == nil {
			break
		}
		if err := waits.Commit(ctx, err); err != nil {
			return done, false, err
		}
	}
	owned, waits.told = true, ""
	messages, err := lacking()
	if err != nil {
		return done, false, fmt.Errorf("read the log before the %s: %w", r.Word, err)
	}
	before := session.Reader().Checkpoint().Sequence
	out, err := session.Restore(ctx, messages)
	done = Restored{Delivered: out.Delivered, Quarantined: out.Rejected}
	if out.Delivered > 0 {
		done.First, done.Last = before+1, before+uint64(out.Delivered)
	}
	name := claim.Stream.Name
	if errors.Is(err, connector.ErrFenced) {
		owned = false
		err := fmt.Errorf("stream %s was taken over by another instance during the %s", name, r.Word)
		if waits.told != "" {
			err = fmt.Errorf("%w, which waited: %s", err, waits.told)
		}
		return done, true, cli.Hinted(err, "stop the other instance, and run the same command again: nothing is restored twice")
	}
	if err != nil {
		return done, false, fmt.Errorf("%s stream %s: %w", r.Word, name, err)
	}
	if r.Left != nil {
		if err := session.CountQuarantine(ctx, r.Left()); err != nil {
			r.Logger.Warn("how much is left in the quarantine was not recorded; the next replay does so", "stream", name,
				"cause", err)
		}
	}
	return done, false, nil
}

// sinkRetry waits out temporary failures of a sink, and gives up if a person has to decide.
type sinkRetry struct {
	logger *slog.Logger
	word   string
	pause  *connector.Backoff
	told   string // what was waited for last, since the stream was acquired
	again  bool   // the previous attempt failed too
}

// Page implements reader.RetryPolicy: no pages are read.
func (w *sinkRetry) Page(_ context.Context, fault *connector.PageError) error { return fault }

// Commit implements reader.RetryPolicy.
func (w *sinkRetry) Commit(ctx context.Context, cause error) error {
	var refusal *connector.Refusal
	if errors.As(cause, &refusal) || errors.Is(cause, connector.ErrFenced) {
		return cause
	}
	// A commit with an unclear outcome is checked first: the next attempt does that, or returns what to wait for.
	var unavailable *connector.Unavailable
	known := w.again || errors.Is(cause, connector.ErrNotNow) || errors.As(cause, &unavailable)
	w.again = true
	if text := cause.Error(); known && text != w.told {
		w.told = text
		w.logger.Warn("the sink is waited for; it goes on by itself", "command", w.word, "cause", text)
	}
	return connector.Sleep(ctx, w.pause.Next())
}
