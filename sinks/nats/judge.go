package nats

import (
	"context"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/file"
)

// Judge says what Log.Acquire would, from a look that changes nothing.
func (s *Sink) Judge(ctx context.Context, claim connector.Claim) error {
	if _, err := s.connection(ctx); err != nil {
		return err
	}
	return file.NewStateStore(s.config.State, limits, s.write).Judge(ctx, claim)
}

// Rehearse says whether Create would do.
func (s *Sink) Rehearse(context.Context) error { return s.store.Rehearse() }
