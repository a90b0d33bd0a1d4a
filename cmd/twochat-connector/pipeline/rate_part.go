package pipeline

import (
	"time"

	"github.com/twochat-connector/twochat-connector/connector/fleet"
	"github.com/twochat-connector/twochat-connector/connector/quota"
)

// share lets each account of a plan use its part of the rate: that of the streams that are read here. A part that gets
// smaller does so at once. One that gets larger does so later, when whoever had it before has seen the change, or is
// gone; so all replicas together keep to the account's rate.
func (l *arrangement) share(p *plan) {
	r := l.replicas
	r.stopGrowing()
	grown := map[*quota.Account]float64{}
	for _, a := range l.all() {
		before, now, all := 0, len(a.workers), len(a.Config.Streams())
		for _, to := range p.next {
			if to.was != nil && to.was.account == a.account {
				before = len(to.was.workers)
			}
		}
		if now == 0 || all == 0 {
			continue // nothing is asked for
		}
		part := float64(now) / float64(all)
		switch {
		case before == 0:
			a.account.SetPart(part)
			a.account.Limiter.Pause(r.freeAfter())
		case part <= a.account.Part():
			a.account.SetPart(part)
		default:
			grown[a.account] = part
		}
	}
	if len(grown) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.growing = time.AfterFunc(fleet.Lifetime, func() {
		for account, part := range grown {
			account.SetPart(part)
		}
	})
}

// freeAfter is when the part of the rate that belongs to streams which begin now is free: at once if nobody else was
// there, and else when others have given it up. A replica that is new has waited a round already.
func (r *replicas) freeAfter() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case !r.waiting:
		return fleet.Lifetime
	case len(r.view.Members) < 2:
		return 0
	}
	return fleet.Lifetime - fleet.Round
}

func (r *replicas) stopGrowing() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.growing != nil {
		r.growing.Stop()
	}
}
