package nats

import (
	"context"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/file"
)

// Judge returns what Log.Acquire would, and changes nothing.
func (s *Sink) Judge(ctx context.Context, claim connector.Claim) error {
	if _, err := s.connection(ctx); err != nil {
		return err
	}
	return file.NewStateStore(s.config.State, limits, s.write).Judge(ctx, claim)
}

// Rehearse checks that Create would succeed.
func (s *Sink) Rehearse(context.Context) error { return s.store.Rehearse() }
