package audit

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// unread are the streams whose logs were not read, and why.
type unread []unreadStream

type unreadStream struct {
	stream string
	err    error
}

// errUnaudited means that nothing is wrong with the streams that were audited, while others could not be.
var errUnaudited = errors.New("not all streams were audited")

// notStartedError is the error for a stream without a log.
type notStartedError struct{ stream string }

func (e *notStartedError) Error() string {
	return fmt.Sprintf("stream %s has not started yet, so there is nothing to audit", e.stream)
}

// notStarted is the error for a stream whose first start the sink does not record.
func notStarted(ctx context.Context, sink sinks.Sink, claim connector.Claim) error {
	errFound := errors.New("found")
	err := sink.ReadBack(ctx, claim.Stream.Name, func(connector.StoredRecord) error { return errFound },
		func([]byte) error { return nil })
	switch {
	case errors.Is(err, errFound):
		return claim.RefuseOrphans()
	case err != nil:
		return fmt.Errorf("read the log of stream %s: %w", claim.Stream.Name, err)
	}
	return cli.Hinted(&notStartedError{claim.Stream.Name}, "start `twochat-connector run` first; audit may run beside it")
}

// add records a stream, and reports whether its error concerns it alone, so that others are audited all the same.
func (u *unread) add(stream string, err error) bool {
	var refusal *connector.Refusal
	var early *notStartedError
	if !errors.As(err, &refusal) && !errors.As(err, &early) {
		return false
	}
	*u = append(*u, unreadStream{stream, err})
	return true
}

// err is the error if no other stream can be audited.
func (u *unread) err() error {
	var all []error
	for _, of := range *u {
		all = append(all, of.err)
	}
	return cli.Together(all)
}

// unaudited records the streams that are not audited.
func (r *Report) unaudited(p *cli.Program, streams unread) {
	for _, of := range streams {
		why := cli.Problems(of.err)[0]
		why.Text = strings.TrimPrefix(why.Text, "stream "+of.stream+": ")
		var early *notStartedError
		if errors.As(of.err, &early) {
			why.Text = "it has not started yet"
		}
		r.Unaudited = append(r.Unaudited, Unaudited{of.stream, Obstacle{Cause: why.Text, Hint: p.Hint(why.Hint)}})
	}
}
