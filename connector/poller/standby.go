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

// standby is a poller that was fenced.
type standby struct{ *Poller }

// wait waits until the other owner has not committed for as long as five polls would take it, at intervals that
// grow like its own, or as long as Config.StandDown says, or until the log shows twice that nobody else has taken it, or
// until EndStandby. Meanwhile it requests nothing from 2Chat. An instance that is fenced again without having committed anything waits twice as long each time. Otherwise
// two instances could take the stream from each other forever, as what one does between two commits, such as searching
// a long list, may take longer than the other waits.
func (p *standby) wait(ctx context.Context) time.Duration {
	select {
	case <-p.relieved: // meant for a standby before this one
	default:
	}
	p.record.mu.Lock()
	p.record.status.Fenced++
	p.record.mu.Unlock()
	var last connector.Checkpoint
	quiet, own := time.Now(), 0
	factor := time.Duration(1) << min(p.fruitless, doubledFences)
	p.fruitless++
	for first := true; ; first = false {
		until := quiet.Add(factor * p.patience(last.Owner))
		p.record.noteUntil(StateStandby, connector.ErrFenced, until)
		if !time.Now().Before(until) {
			return 0
		}
		wait := min(jitter(p.schedule.paced(p.schedule.shortest())), time.Until(until))
		if first && p.config.StandDown != nil {
			wait = 0 // how long to wait depends on who it is
		}
		if !p.pause(ctx, wait) {
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

// pause waits for that long. It returns false if the context ended, or if the stream is to be taken over at once.
func (p *standby) pause(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-p.relieved:
		return false
	case <-timer.C:
		return true
	}
}

// patience is how long the other owner may be without a commit; "" is one that is not known yet.
func (p *standby) patience(owner string) time.Duration {
	if p.config.StandDown != nil && owner != "" {
		if of := p.config.StandDown(owner); of > 0 {
			return of
		}
	}
	return p.schedule.standDownTime()
}

// EndStandby takes the stream over at once if it stands down now: the other owner may have gone. It does nothing
// otherwise. It is safe for concurrent use.
func (p *Poller) EndStandby() {
	if p.record.now().State != StateStandby {
		return
	}
	select {
	case p.relieved <- struct{}{}:
	default:
	}
}

// sameCommit reports whether two checkpoints were recorded by the same commit. It does not compare their times, as
// clocks differ.
func sameCommit(a, b *connector.Checkpoint) bool {
	return a.Owner == b.Owner && a.Epoch == b.Epoch && a.Written.Equal(b.Written) && a.SameState(b)
}
