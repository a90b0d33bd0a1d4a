package reader

import (
	"context"
	"sync"
	"sync/atomic"
)

// WorkerPool does things side by side. Both methods leave no goroutine behind that nobody waits for.
type WorkerPool interface {
	// Each calls do for 0 to n-1, several at a time, and returns when all calls have: the first error, or nil. After an
	// error no further call begins.
	Each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error
	// Go runs do beside the caller, who must call wait.
	Go(do func()) (wait func())
}

// serial does one after the other what a pool does side by side.
type serial struct{ WorkerPool }

func (a serial) Each(ctx context.Context, n int, do func(context.Context, int) error) error {
	for i := range n {
		if err := do(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// Workers is a WorkerPool of goroutines: so many calls of Each at a time.
type Workers int

// Each implements WorkerPool.
func (h Workers) Each(ctx context.Context, n int, do func(context.Context, int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(int(h), n) {
		group.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(ctx, i); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

// Go implements WorkerPool.
func (h Workers) Go(do func()) func() {
	var group sync.WaitGroup
	group.Go(do)
	return group.Wait
}
