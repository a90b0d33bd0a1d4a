package jetstream

import (
	"context"
	"errors"
	"fmt"

	"github.com/twochat-connector/twochat-connector/connector"
)

// CheckAcquire returns the error that Log.Acquire would, and changes nothing.
func (s *Sink) CheckAcquire(ctx context.Context, claim connector.Claim) error {
	l, ok := s.Log(claim).(*Log)
	if !ok {
		return errors.New("check acquire: the log is not this sink's")
	}
	err := l.checkAcquire(ctx)
	return errors.Join(err, l.Close())
}

func (l *Log) checkAcquire(ctx context.Context) error {
	k, err := l.sink.connect(ctx)
	if err != nil {
		return fmt.Errorf("check acquire: %w", err)
	}
	known, err := l.sink.known(ctx, k, false)
	if err != nil {
		return l.readError("check acquire", err)
	}
	found, _, exists, err := l.read(ctx, k)
	if err != nil {
		return l.readError("check acquire: read checkpoint", err)
	}
	if _, err = l.admit(ctx, k, known, found, exists); err != nil {
		return l.readError("check acquire", err)
	}
	return nil
}
