package erase

import (
	"context"
	"fmt"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/connector"
)

// keeper is a sink that cannot erase single events, and reports what keeps them. newest are the offsets of the newest
// of them, by partition.
type keeper interface {
	Kept(ctx context.Context, newest map[int]int64, rejects bool) ([]connector.Finding, error)
}

// leave reports what stays of the chat in a sink that cannot erase.
func (e *Engine) leave(ctx context.Context, found []*target) error {
	newest := make(map[int]int64)
	rejects := false
	for _, one := range found {
		for _, p := range one.report.Places {
			newest[p.Partition] = max(newest[p.Partition], p.Last)
		}
		rejects = rejects || one.report.Rejects.Found > 0
	}
	if keeps, can := e.opened[0].(keeper); can && (len(newest) > 0 || rejects) {
		kept, err := keeps.Kept(ctx, newest, rejects)
		if err != nil {
			return cli.Hinted(fmt.Errorf("read what the brokers keep: %w", err),
				"`twochat-connector check` says what is wrong with the sink")
		}
		e.report.Kept = kept
	}
	if err := e.report.print(e.program, e.options.JSON); err != nil {
		return err
	}
	if len(e.report.Kept) > 0 && !e.options.DryRun || e.report.incomplete() {
		return cli.ErrFoundWrong
	}
	return nil
}
