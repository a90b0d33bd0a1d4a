// Package sinks is the list of all sinks. Each sink is a package of its own, one case in Open and one field of Config.
package sinks

import (
	"context"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Sink is where the events of all streams are written. It is safe for concurrent use.
type Sink interface {
	// Log returns a stream's log in the sink. It does no I/O; Log.Acquire does.
	Log(claim connector.Claim) connector.Log
	// Create creates what the sink needs and is missing (a stream, topics), with the right settings. It changes nothing
	// that exists. It is called only with `create: true`.
	Create(ctx context.Context) error
	// CheckCreate checks that Create would succeed, without creating anything. The error is a *connector.Refusal, or
	// another error if the sink could not be reached.
	CheckCreate(ctx context.Context) error
	// CheckAcquire returns the error that Log(claim).Acquire would, but changes nothing and fences nobody: nil, a
	// *connector.Refusal, or another error if the sink could not be reached. It has to be called before the sink has
	// acquired anything.
	CheckAcquire(ctx context.Context, claim connector.Claim) error
	// Check examines the sink's settings and permissions, without changing anything, and returns a finding for each fact
	// that affects the guarantee. An error means that the sink could not be reached.
	Check(ctx context.Context, claims []connector.Claim) ([]connector.Finding, error)
	// Follow calls each with the newest events and then with every further one, according to the options, in structured
	// mode, whatever the mode in which they are stored; checkpoints and rejects are left out. It returns when the context
	// ends (nil), when each returns an error (that error), or, if Once is set, after the newest event.
	Follow(ctx context.Context, options connector.FollowOptions, each func(event []byte) error) error
	// ReadBack calls event with each event of a stream that was committed before the call, and then reject with each of
	// its rejects, all in structured mode, and returns. What is committed meanwhile may be included. Events come in the
	// order of the sink, which within a part is the order of delivery; a part is a partition, if the sink has partitions.
	// A record among the events that is no event is passed as well, with its fault; one that names no stream is passed for
	// each stream. What another process is still writing is not such a record. Nothing is taken over. If event is nil, the
	// events are not read, and an empty stream returns the rejects of all streams, with anything else that is in the
	// quarantine. A sink that keeps no events returns a *connector.Refusal.
	ReadBack(
		ctx context.Context, stream string, event func(connector.StoredRecord) error, reject func(reject []byte) error,
	) error
	// Promise returns the delivery guarantee of this sink as configured.
	Promise() connector.Promise
	// Close ends the sink's connections and goroutines. Logs have to be closed before.
	Close() error
}

// Eraser is a sink that can erase what it holds.
type Eraser interface {
	// Erase overwrites the events and rejects of a stream that a choice selects. The stream's owner calls it. The keys of
	// what is to be erased are recorded first, so that it is never delivered again. If Erase is interrupted, it may be
	// called again, and then finishes.
	Erase(ctx context.Context, claim connector.Claim, choice connector.Choice) (connector.ErasedCounts, error)
	// Erased returns what was erased of a stream, by sequence, as Acquire does. Nothing is taken over.
	Erased(ctx context.Context, stream string) ([]connector.Seen, error)
}
