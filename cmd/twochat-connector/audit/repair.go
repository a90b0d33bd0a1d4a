package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// Repair is what a repair came to.
type Repair struct {
	// Restored messages were delivered as late, with the sequences from First to Last.
	Restored int    `json:"restored"`
	First    uint64 `json:"first_sequence,omitempty"`
	Last     uint64 `json:"last_sequence,omitempty"`
	// Present messages were in the log when the stream was taken over: another one delivered them meanwhile.
	Present int `json:"present"`
	// Quarantined ones the sink refuses for good.
	Quarantined int `json:"quarantined"`
	// Left is how many are still missing, as not all of them could be held in memory at once.
	Left int `json:"left"`
}

// mayRepair refuses, before any page is paid for, a repair that could not take its streams over.
func (a *Engine) mayRepair(ctx context.Context, all []*audited) error {
	if !a.options.Repair || a.options.DryRun {
		return nil
	}
	if a.spare.Beside() && !a.options.TakeOver && a.config.Sink.File == nil {
		return cli.Hinted(errors.New("an instance that runs with this configuration answers, and a repair takes its streams over"),
			"stop it; or say --take-over: it stands down while the repair writes, and goes on by itself after a few intervals")
	}
	for _, one := range all {
		if err := a.sink.CheckAcquire(ctx, one.claim); err != nil {
			return fmt.Errorf("repair stream %s: %w", one.claim.Stream.Name, err)
		}
	}
	return nil
}

// restore takes a stream over, makes sure that the log lacks what is missing, and delivers it. Whatever ends it, what
// was committed is in the log, and the next audit finds it there.
func (a *Engine) restore(ctx context.Context, one *audited, list *Listed, missing []connector.Key) (*Repair, error) {
	log := a.sink.Log(one.claim)
	defer func() {
		if err := log.Close(); err != nil {
			a.logger.Warn("the stream's place in the sink could not be given up", "cause", err)
		}
	}()
	waits := &sinkRetry{logger: a.logger, pause: connector.NewBackoff(250*time.Millisecond, 10*time.Second)}
	session := reader.NewSession(a.spare, log, reader.Reading{
		Stream: one.claim.Stream, Rules: pipeline.RulesOf(a.config), Events: a.config.EventSettings(), Retry: waits,
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
	// Nobody else can write now, so what the log holds now is what it will hold.
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
			one.claim.Stream.Name), "stop the other instance, and run the same command again: nothing is put back twice")
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

// sinkRetry waits out what a sink does not take now, and gives up where a person has to decide.
type sinkRetry struct {
	logger *slog.Logger
	pause  *connector.Backoff
	told   string
	again  bool // it is not the first time in a row
}

// Page implements reader.RetryPolicy: a repair reads no pages.
func (w *sinkRetry) Page(_ context.Context, fault *connector.PageError) error { return fault }

// Commit implements reader.RetryPolicy.
func (w *sinkRetry) Commit(ctx context.Context, cause error) error {
	var refusal *connector.Refusal
	if errors.As(cause, &refusal) || errors.Is(cause, connector.ErrFenced) {
		return cause
	}
	// A commit of which the end is unclear is looked into first: the next attempt does it, or knows what to wait for.
	var unavailable *connector.Unavailable
	known := w.again || errors.Is(cause, connector.ErrNotNow) || errors.As(cause, &unavailable)
	w.again = true
	if text := cause.Error(); known && text != w.told {
		w.told = text
		w.logger.Warn("the repair waits for the sink; it goes on by itself", "cause", text)
	}
	return connector.Sleep(ctx, w.pause.Next())
}
