package jetstream

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
)

// purger removes the older checkpoints of a log in the background. If it fails, they stay; the newest one always stays.
type purger struct {
	logger  *slog.Logger
	stream  string // the JetStream stream
	subject string // the subject of the checkpoints
	name    string // the connector's stream

	commits int // since the last purge
	life    context.Context
	stop    context.CancelFunc
	work    sync.WaitGroup
	busy    atomic.Bool
}

// committed counts a commit, and starts a purge after every purgeEvery commits.
func (p *purger) committed(k *link) {
	if p.commits++; p.commits >= purgeEvery {
		p.commits = 0
		p.purge(k)
	}
}

func (p *purger) purge(k *link) {
	if !p.busy.CompareAndSwap(false, true) {
		return
	}
	p.work.Go(func() {
		defer p.busy.Store(false)
		if err := k.purge(p.life, p.stream, p.subject); err != nil && p.life.Err() == nil {
			p.logger.Warn("older checkpoints could not be removed", "stream", p.name, "error", err.Error())
		}
	})
}

// close waits for a purge in progress.
func (p *purger) close() {
	p.stop()
	p.work.Wait()
}
