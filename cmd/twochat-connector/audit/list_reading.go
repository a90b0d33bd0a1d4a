package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// readList reads a stream's list as far down as requested.
func (a *Engine) readList(ctx context.Context, one *audited) (*Listed, error) {
	begun := func(floor connector.Keys, lacking func(connector.Key) bool) *Listed {
		list := NewListed(floor, lacking)
		list.settings, list.decoder.values = one.claim.Settings, one.log.decoder.noValues()
		return list
	}
	list := begun(one.floor, func(key connector.Key) bool { return !one.log.Has(key) })
	var err error
	if sink, can := a.sink.(remover); can {
		if list.removed, err = sink.Removed(ctx, one.checkpoint); err != nil {
			return nil, err
		}
	}
	err = a.read(ctx, one, list)
	var suspicion *reader.Suspicion
	if len(one.floor) > 0 && errors.As(err, &suspicion) {
		// None of what was listed at the first start is listed any more, so only the end of the list can end the reading.
		removed := list.removed
		list = begun(nil, list.lacking)
		list.removed = removed
		one.start = connector.Start{Beginning: true}
		err = a.read(ctx, one, list)
	}
	if err != nil {
		return nil, fmt.Errorf("read the list of stream %s: %w", one.claim.Stream.Name, err)
	}
	return list, nil
}

// remover is a sink whose parts lose their oldest events one by one.
type remover interface {
	// Removed tells which part has a chat's events, and whether that part has lost its oldest.
	Removed(ctx context.Context, of connector.Checkpoint) (func(chat string) (part int, removed bool), error)
}

// look is how often the reading is checked, tellEvery how often its progress is logged, and tellWaitEvery how often a
// wait that goes on is logged.
const look, tellEvery, tellWaitEvery = time.Second, 10 * time.Second, time.Minute

// read lets the connector's Reader deliver the list into a log in memory, until everything that was listed at the
// beginning of a walk is there.
func (a *Engine) read(ctx context.Context, one *audited, list *Listed) error {
	session := reader.NewSession(one.pages(), list, reader.Reading{
		Stream: one.claim.Stream, Rules: pipeline.RulesOf(one.account.Config), Events: a.config.EventSettings(),
		Workers: reader.Workers(one.account.Config.Poll.Concurrency), OneWalk: true, Retry: passOn{},
	}, one.start)
	defer session.Close()
	pause := connector.NewBackoff(250*time.Millisecond, 30*time.Second)
	t := &teller{spare: one.account.spare, logger: a.logger, stream: one.claim.Stream.Name}
	defer t.start(ctx)()
	for {
		out, err := session.Poll(ctx)
		t.messages.Store(int64(len(list.rows)))
		var fault *connector.PageError
		var suspicion *reader.Suspicion
		switch {
		case err == nil && out.Rested:
			return nil
		case errors.As(err, &fault), errors.As(err, &suspicion), err != nil && !reader.LeftUnchanged(err):
			return err
		case err == nil && out.Delivered > 0:
			pause.Reset()
		default: // the list moved, or a second walk is due
			if err := connector.Sleep(ctx, pause.Next()); err != nil {
				return err
			}
		}
	}
}

// teller logs the progress of reading a list, and every new wait at once. It runs concurrently, as the reading waits
// within a page.
type teller struct {
	spare interface {
		Calls() int
		Waits() (word, cause string)
	}
	logger   *slog.Logger
	stream   string
	messages atomic.Int64
}

// start runs it until the returned function is called.
func (t *teller) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var telling sync.WaitGroup
	telling.Go(func() { t.tell(ctx) })
	return func() {
		cancel()
		telling.Wait()
	}
}

func (t *teller) tell(ctx context.Context) {
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	told, held := time.Now(), ""
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		word, cause := t.spare.Waits()
		every := tellEvery
		if word != "" {
			every = tellWaitEvery
		}
		if since := time.Since(told); since < every && (word == "" || word == held) {
			continue
		}
		told, held = time.Now(), word
		args := []any{"stream", t.stream, "messages", t.messages.Load(), "calls", t.spare.Calls()}
		if word != "" {
			t.logger.Warn("audit waits; it goes on by itself", append(args, "held", word, "cause", cause)...)
		} else {
			t.logger.Info("audit", args...)
		}
	}
}

// passOn returns faults unchanged: what can be waited out was waited out below, where pages are requested. The log in
// memory never fails.
type passOn struct{}

func (passOn) Page(_ context.Context, fault *connector.PageError) error { return fault }
func (passOn) Commit(_ context.Context, cause error) error              { return cause }
