package nats

import (
	"context"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/file"
)

// InUse returns a *connector.Refusal if another process writes with the same state now. It changes nothing.
func (s *Sink) InUse() error { return s.store.InUse() }

// CheckAcquire returns the error that Log.Acquire would, and changes nothing.
func (s *Sink) CheckAcquire(ctx context.Context, claim connector.Claim) error {
	if _, err := s.connection(ctx); err != nil {
		return err
	}
	return file.NewStateStore(s.config.State, limits, s.write).CheckAcquire(ctx, claim)
}

// CheckCreate checks that Create would succeed.
func (s *Sink) CheckCreate(context.Context) error { return s.store.CheckCreate() }
