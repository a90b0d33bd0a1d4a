package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/poller"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// streamWorker is one stream's part of the pipeline.
type streamWorker struct {
	stream   connector.Stream
	poller   *poller.Poller
	log      connector.Log
	watchdog *watchdog
	gone     chan struct{} // closed when the stream is given up
	ended    chan struct{} // closed when it does not run any more

	mu      sync.Mutex
	refusal *connector.Refusal // why it ended early
}

// newStreams makes the parts of streams of an account that begin now, each as at a start of the
// program, and within that time.
func (l *Pipeline) newStreams(
	a *accountWorker, claims []connector.Claim, within time.Duration, acceptHistory bool,
) []*streamWorker {
	c, now := a.Config, time.Now()
	var list []*streamWorker
	for _, claim := range claims {
		w := &streamWorker{
			stream: claim.Stream, log: l.Sink.Log(claim), watchdog: newWatchdog(now), gone: make(chan struct{}),
			ended: make(chan struct{}),
		}
		log := w.log
		if l.Tracing != nil {
			log = l.Tracing.Log(claim.Stream.Name, log)
		}
		w.poller = poller.New(poller.Config{
			Pages: a.account.Pages(&watchedPages{pages: a.pages, slots: a.slots, watchdog: w.watchdog}),
			Log:   a.account.Log(&watchedLog{Log: log, watchdog: w.watchdog}),
			Reading: reader.Reading{
				Stream: claim.Stream, Rules: RulesOf(c), Events: c.EventSettings(), AcceptHistory: acceptHistory,
				Workers: reader.Workers(c.Poll.Concurrency),
			},
			Start: c.Start.At(now), MinInterval: c.Poll.MinInterval, MaxInterval: c.Poll.MaxInterval,
			StartWithin: within, SweepEvery: a.account.SweepEvery,
			Limiter: a.account.Limiter, MemoryGate: l.gate, Pace: a.account.Pace, CallBudget: a.account,
			Ready: a.Client.Ready, CheckWritable: writableCheck(l.Sink, w.watchdog), StandDown: l.standDown,
			Tracer:  l.Tracing,
			Metrics: l.metrics, Changes: l.changes, Logger: a.logger,
		})
		list = append(list, w)
	}
	return list
}

// run polls the stream until the context ends or the stream is given up.
func (a *streamWorker) run(ctx context.Context, logger *slog.Logger) {
	defer close(a.ended)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-a.gone:
			stop()
		case <-ctx.Done():
		}
	}()
	err := a.poller.Run(ctx)
	if err == nil {
		return
	}
	stream := a.stream.Name
	var refusal *connector.Refusal
	if !errors.As(err, &refusal) {
		refusal = &connector.Refusal{
			Thing: "stream " + stream, Cause: err.Error(),
			Hint: "restart the program; report it if it happens again",
		}
	}
	a.mu.Lock()
	a.refusal = refusal
	a.mu.Unlock()
	logger.Error("stream refused", "stream", stream, "cause", refusal.Cause, "hint", refusal.Hint)
}

// hasEnded reports whether the stream does not run any more.
func (a *streamWorker) hasEnded() bool {
	select {
	case <-a.ended:
		return true
	default:
		return false
	}
}

// close gives up the stream's place in the sink.
func (a *streamWorker) close(logger *slog.Logger) {
	if err := a.log.Close(); err != nil {
		logger.Warn("a stream's place in the sink could not be given up", "stream", a.stream.Name, "cause", err)
	}
}

func (a *streamWorker) refused() *connector.Refusal {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.refusal
}

// status is the record of the stream.
func (a *streamWorker) status() poller.Status {
	status := a.poller.Status()
	if refusal := a.refused(); refusal != nil && status.State == poller.StateStopped {
		status.State, status.Cause, status.Hint = poller.StateRefused, refusal.Thing+": "+refusal.Cause, refusal.Hint
	}
	return status
}
