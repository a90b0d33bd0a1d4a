// Package sinks is the one list of sinks. A sink is a directory of its own, one case in Open and one field of Config.
package sinks

import (
	"context"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Sink is where the events of all streams go. Its methods may be called from several goroutines.
type Sink interface {
	// Log is a stream's place in the sink. It does no I/O; Log.Acquire does.
	Log(claim connector.Claim) connector.Log
	// Create makes what the sink needs and does not have (a stream, topics), with the right settings. It changes nothing
	// that is there. Only `create: true` calls it.
	Create(ctx context.Context) error
	// Rehearse checks that Create would succeed, without making anything. The error is a *connector.Refusal, or another
	// error where the sink could not be asked.
	Rehearse(ctx context.Context) error
	// Judge returns what Log(claim).Acquire would, but changes nothing and fences nobody: nil, a *connector.Refusal, or
	// another error where the sink could not be asked. It is called before the sink has acquired anything.
	Judge(ctx context.Context, claim connector.Claim) error
	// Check looks at the sink's settings and rights, without changing anything, and returns a finding for each fact that
	// bears on the promise. The error means that the sink could not be asked.
	Check(ctx context.Context, claims []connector.Claim) ([]connector.Finding, error)
	// Follow calls each with the newest events and then with every further one, as the tail says, in structured mode,
	// whatever the mode they are stored in; checkpoints and rejects are left out. It returns when the context ends (nil),
	// when each returns an error (that error), or at the end of a tail that ends.
	Follow(ctx context.Context, tail connector.Tail, each func(event []byte) error) error
	// ReadBack calls event with each event of a stream that was committed before the call, and then reject with each of
	// its rejects, all in structured mode, and returns. What is committed meanwhile may come too. Events come in the
	// order of the sink, which within a part is the order of delivery: a part is a partition, where the sink has such.
	// Nothing is taken over. A sink that keeps no events returns a *connector.Refusal.
	ReadBack(
		ctx context.Context, stream string, event func(part int, event []byte) error, reject func(reject []byte) error,
	) error
	// Promise is what this sink, as configured, can promise.
	Promise() connector.Promise
	// Close ends the sink's connections and goroutines. Logs are closed before it.
	Close() error
}
