package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// readList reads a stream's list as far down as is wanted.
func (a *Engine) readList(ctx context.Context, one *audited) (*Listed, error) {
	list := NewListed(one.floor, func(key connector.Key) bool { return !one.log.Has(key) })
	err := a.read(ctx, one, list)
	var suspicion *reader.Suspicion
	if len(one.floor) > 0 && errors.As(err, &suspicion) {
		// None of what was listed at the first start is listed any more: nothing tells where to end but the list's end.
		list = NewListed(nil, list.lacking)
		one.start = connector.Start{Beginning: true}
		err = a.read(ctx, one, list)
	}
	if err != nil {
		return nil, fmt.Errorf("read the list of stream %s: %w", one.claim.Stream.Name, err)
	}
	return list, nil
}

// tellEvery is how often it is told how far the reading is.
const tellEvery = 10 * time.Second

// read lets the connector's Reader deliver the list into a log in memory, until all that was listed when a walk began
// is there.
func (a *Engine) read(ctx context.Context, one *audited, list *Listed) error {
	session := reader.NewSession(a.spare, list, reader.Reading{
		Stream: one.claim.Stream, Rules: pipeline.RulesOf(a.config), Events: a.config.EventSettings(),
		Workers: reader.Workers(a.config.Poll.Concurrency), OneWalk: true, Retry: passOn{},
	}, one.start)
	defer session.Close()
	pause := connector.NewBackoff(250*time.Millisecond, 30*time.Second)
	told := time.Now()
	for {
		out, err := session.Poll(ctx)
		var fault *connector.PageError
		var suspicion *reader.Suspicion
		switch {
		case err == nil && out.Rested:
			return nil
		case errors.As(err, &fault), errors.As(err, &suspicion), err != nil && !reader.Harmless(err):
			return err
		case err == nil && out.Delivered > 0:
			pause.Reset()
		default: // the list moved, or a second walk is due
			if err := connector.Sleep(ctx, pause.Next()); err != nil {
				return err
			}
		}
		if time.Since(told) >= tellEvery {
			told = time.Now()
			a.tell(one, len(list.rows))
		}
	}
}

// tell says how far it is.
func (a *Engine) tell(one *audited, messages int) {
	args := []any{"stream", one.claim.Stream.Name, "messages", messages, "calls", a.spare.Calls()}
	if word, cause := a.spare.Waits(); word != "" {
		a.logger.Warn("audit waits; it goes on by itself", append(args, "held", word, "cause", cause)...)
		return
	}
	a.logger.Info("audit", args...)
}

// passOn gives up at what could not be waited out below, where pages are asked for. The log in memory never fails.
type passOn struct{}

func (passOn) Page(_ context.Context, fault *connector.PageError) error { return fault }
func (passOn) Commit(_ context.Context, cause error) error              { return cause }
