package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// Repair is the result of a repair.
type Repair struct {
	// Restored counts messages that were delivered as late, with the sequences from First to Last.
	Restored int    `json:"restored"`
	First    uint64 `json:"first_sequence,omitempty"`
	Last     uint64 `json:"last_sequence,omitempty"`
	// Present counts messages that were in the log by the time of the takeover: another instance had delivered them.
	Present int `json:"present"`
	// Quarantined counts messages that the sink refuses for good.
	Quarantined int `json:"quarantined"`
	// Left counts messages that are still missing, as not all of them fit into memory at once.
	Left int `json:"left"`
}

// mayRepair refuses a repair that could not take over its streams, before any page is paid for.
func (a *Engine) mayRepair(ctx context.Context, all []*audited) error {
	if !a.options.Repair || a.options.DryRun {
		return nil
	}
	beside := slices.ContainsFunc(a.accounts, func(of *account) bool { return of.spare.Beside() })
	if beside && !a.options.TakeOver && a.config.Sink.File == nil {
		return cli.Hinted(errors.New("an instance is running with this configuration, and a repair takes over its streams"),
			"stop it, or use --take-over: then it stands down while the repair writes, and continues by itself after a few intervals")
	}
	for _, one := range all {
		if err := a.sink.CheckAcquire(ctx, one.claim); err != nil {
			return fmt.Errorf("repair stream %s: %w", one.claim.Stream.Name, err)
		}
	}
	return nil
}

// restore takes over a stream, checks which messages the log still lacks, and delivers them. However it ends, what was
// committed is in the log, and the next audit finds it there.
func (a *Engine) restore(ctx context.Context, one *audited, list *Listed, missing []connector.Key) (*Repair, error) {
	log := a.sink.Log(one.claim)
	defer func() {
		if err := log.Close(); err != nil {
			a.logger.Warn("the stream's place in the sink could not be given up", "cause", err)
		}
	}()
	waits := &sinkRetry{logger: a.logger, pause: connector.NewBackoff(250*time.Millisecond, 10*time.Second)}
	session := reader.NewSession(one.account.spare, log, reader.Reading{
		Stream: one.claim.Stream, Rules: pipeline.RulesOf(one.account.Config), Events: a.config.EventSettings(), Retry: waits,
	}, one.start)
	defer session.Close()
	for {
		err := session.Acquire(ctx)
		if err == nil {
			break
		}
		if err := waits.Commit(ctx, err); err != nil {
			return nil, err
		}
	}
	// Nobody else can write now, so the log cannot change any more.
	present := NewLogged()
	if err := a.sink.ReadBack(ctx, one.claim.Stream.Name, present.Add, present.AddReject); err != nil {
		return nil, fmt.Errorf("read the log before the repair: %w", err)
	}
	repair := &Repair{}
	var restore []reader.Missing
	for _, key := range missing {
		message := list.kept[key]
		_, rejected := present.rejects[key]
		switch {
		case present.Has(key), rejected:
			repair.Present++
		case message.Message.UUID == "": // there was no room to keep it
			repair.Left++
		default:
			restore = append(restore, message)
		}
	}
	before := session.Reader().Checkpoint().Sequence
	out, err := session.Restore(ctx, restore)
	if errors.Is(err, connector.ErrFenced) {
		return nil, cli.Hinted(fmt.Errorf("stream %s was taken over by another instance during the repair",
			one.claim.Stream.Name), "stop the other instance, and run the same command again: nothing is restored twice")
	}
	if err != nil {
		return nil, fmt.Errorf("repair stream %s: %w", one.claim.Stream.Name, err)
	}
	repair.Restored, repair.Quarantined = out.Delivered, out.Rejected
	if out.Delivered > 0 {
		repair.First, repair.Last = before+1, before+uint64(out.Delivered)
	}
	return repair, nil
}

// sinkRetry waits out temporary failures of a sink, and gives up if a person has to decide.
type sinkRetry struct {
	logger *slog.Logger
	pause  *connector.Backoff
	told   string
	again  bool // the previous attempt failed too
}

// Page implements reader.RetryPolicy: a repair reads no pages.
func (w *sinkRetry) Page(_ context.Context, fault *connector.PageError) error { return fault }

// Commit implements reader.RetryPolicy.
func (w *sinkRetry) Commit(ctx context.Context, cause error) error {
	var refusal *connector.Refusal
	if errors.As(cause, &refusal) || errors.Is(cause, connector.ErrFenced) {
		return cause
	}
	// A commit with an unclear outcome is looked up first: the next attempt does that, or returns what to wait for.
	var unavailable *connector.Unavailable
	known := w.again || errors.Is(cause, connector.ErrNotNow) || errors.As(cause, &unavailable)
	w.again = true
	if text := cause.Error(); known && text != w.told {
		w.told = text
		w.logger.Warn("the repair waits for the sink; it goes on by itself", "cause", text)
	}
	return connector.Sleep(ctx, w.pause.Next())
}
