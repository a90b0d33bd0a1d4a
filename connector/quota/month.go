package quota

import (
	"context"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Log is a stream's place in the sink whose checkpoints keep when the account's month began, so that the next process
// need not learn it again.
func (a *Account) Log(log connector.Log) connector.Log { return &monthLog{Log: log, budget: a.Budget} }

type monthLog struct {
	connector.Log
	budget *Budget
}

func (l *monthLog) Acquire(ctx context.Context) (connector.State, error) {
	state, err := l.Log.Acquire(ctx)
	if err == nil {
		l.budget.Recall(time.Now(), state.Checkpoint.MonthBegun)
	}
	return state, err
}

func (l *monthLog) Commit(ctx context.Context, events []connector.Event, rejects []connector.Reject,
	next connector.Checkpoint,
) error {
	next.MonthBegun = l.budget.MonthBegun()
	return l.Log.Commit(ctx, events, rejects, next)
}
