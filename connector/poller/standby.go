package poller

import (
	"context"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// standDowns is how many polls of the other instance without a commit a fenced instance waits for.
const standDowns = 5

// ownSightings is how many times in a row the checkpoint read has to be this instance's own before it is believed that
// nobody else owns the stream. A single answer may come from a replica that lags behind.
const ownSightings = 2

// doubledFences is how many times in a row a fenced instance doubles its wait.
const doubledFences = 5

// standDown waits until the other owner has not committed for as long as five polls would take it, at intervals that
// grow like its own, or until the log shows twice that nobody else has taken it. Meanwhile it requests nothing from
// 2Chat. An instance that is fenced again without having committed anything waits twice as long each time. Otherwise
// two instances could take the stream from each other forever, as what one does between two commits, such as searching
// a long list, may take longer than the other waits.
func (p *Poller) standDown(ctx context.Context) time.Duration {
	p.record.mu.Lock()
	p.record.status.Fenced++
	p.record.mu.Unlock()
	var last connector.Checkpoint
	quiet, own := time.Now(), 0
	factor := time.Duration(1) << min(p.fruitless, doubledFences)
	p.fruitless++
	for {
		until := quiet.Add(factor * p.schedule.standDownTime())
		p.record.noteUntil(StateStandby, connector.ErrFenced, until)
		if !time.Now().Before(until) {
			return 0
		}
		if connector.Sleep(ctx, jitter(p.schedule.paced(p.schedule.shortest()))) != nil {
			return 0
		}
		checkpoint, found, err := p.config.Log.Peek(ctx)
		if err != nil || !found {
			continue
		}
		if checkpoint.Owner == p.owner && checkpoint.Epoch == p.epoch {
			if own++; own >= ownSightings {
				return 0
			}
			continue
		}
		own = 0
		if !sameCommit(&checkpoint, &last) {
			last, quiet = checkpoint, time.Now()
		}
	}
}

// sameCommit reports whether two checkpoints were recorded by the same commit. It does not compare their times, as
// clocks differ.
func sameCommit(a, b *connector.Checkpoint) bool {
	return a.Owner == b.Owner && a.Epoch == b.Epoch && a.Written.Equal(b.Written) && a.SameState(b)
}
