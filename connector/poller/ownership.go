package poller

import (
	"context"
	"errors"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// ownership is a poller that makes sure that it may still write, before it pays for a page.
type ownership struct{ *Poller }

// check returns why a step would be in vain: a *connector.Refusal, or connector.ErrFenced.
func (p *ownership) check(ctx context.Context) error {
	err := p.checkWritable(ctx)
	if err == nil && p.takenOver(ctx) {
		err = connector.ErrFenced
	}
	if errors.Is(err, connector.ErrFenced) {
		p.session.GiveUp()
	}
	return err
}

// checkWritable asks whether the sink may still be written to, before paying for a page that could not be delivered.
// Somebody may have edited the stream or topic, and a quiet stream makes no commit that would notice. If another owner
// has taken over, the error is connector.ErrFenced, even if the settings are refused too.
func (p *ownership) checkWritable(ctx context.Context) error {
	var refusal *connector.Refusal
	if p.config.CheckWritable == nil || !errors.As(p.config.CheckWritable(ctx), &refusal) {
		return nil
	}
	found, ok, err := p.config.Log.Peek(ctx)
	if err == nil && ok && (found.Owner != p.owner || found.Epoch != p.epoch) {
		return connector.ErrFenced
	}
	return refusal
}

// ownershipChecked is how long a stream may rest on the word of its last commit that it is still its own.
const ownershipChecked = time.Minute

// takenOver reports whether another owner has taken the stream over. A quiet stream makes no commit that would notice,
// and its status would show for ever what was true before. A checkpoint with a lower epoch comes from a server that lags
// behind, and says nothing.
func (p *ownership) takenOver(ctx context.Context) bool {
	now := time.Now()
	if last := p.record.now().LastCommit; last.After(p.ownedAt) {
		p.ownedAt = last
	}
	if !p.session.Reader().Rested() || now.Sub(p.ownedAt) < ownershipChecked {
		return false
	}
	p.ownedAt = now
	found, there, err := p.config.Log.Peek(ctx)
	return err == nil && there && found.Epoch > p.epoch
}
