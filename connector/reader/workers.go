package reader

import (
	"context"
	"sync"
	"sync/atomic"
)

// WorkerPool runs functions concurrently. It leaves no goroutine behind that nobody waits for.
type WorkerPool interface {
	// Each calls do for 0 to n-1, several at a time, and returns the first error, or nil, when all calls have returned.
	// After an error it starts no more calls.
	Each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error
	// Go runs do in the background. The caller must call wait.
	Go(do func()) (wait func())
}

// serial is a pool that makes one call after the other.
type serial struct{ WorkerPool }

func (a serial) Each(ctx context.Context, n int, do func(context.Context, int) error) error {
	for i := range n {
		if err := do(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// Workers is a WorkerPool that runs that many calls of Each at a time.
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
