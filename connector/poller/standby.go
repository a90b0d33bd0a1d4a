package poller

import (
	"context"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// standDowns is how many polls a fenced instance leaves to the other after its last commit.
const standDowns = 5

// ownSightings is how many looks in a row must show the checkpoint of this very instance before it is believed that
// nobody else owns the stream. One may come from a replica that lags behind.
const ownSightings = 2

// patientFences is how many times in a row a fenced instance waits twice as long as the time before.
const patientFences = 5

// standDown waits until the other owner has not committed for as long as five polls would take it, at intervals that
// grow as its own do, or until the log says twice that nobody else has taken it. It reads nothing of 2Chat meanwhile.
// Who was fenced again without having committed anything waits twice as long each time: what either does between two
// commits may take longer than the other waits, as a search through a long list does, or a list that has to be
// suspected for a while, and then they would take the stream from each other for ever.
func (p *Poller) standDown(ctx context.Context) time.Duration {
	p.record.mu.Lock()
	p.record.status.Fenced++
	p.record.mu.Unlock()
	p.record.note(StateStandby, connector.ErrFenced)
	var last connector.Checkpoint
	quiet, own := time.Now(), 0
	patience := time.Duration(1) << min(p.fruitless, patientFences)
	p.fruitless++
	for time.Since(quiet) < patience*p.schedule.standDownTime() {
		if connector.Sleep(ctx, jitter(p.schedule.paced(p.config.MinInterval))) != nil {
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
	return 0
}

// sameCommit says whether two checkpoints were recorded by the same commit, as far as they show it: a clock is no part
// of that.
func sameCommit(a, b *connector.Checkpoint) bool {
	return a.Owner == b.Owner && a.Epoch == b.Epoch && a.Written.Equal(b.Written) && a.SameState(b)
}
