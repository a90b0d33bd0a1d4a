package pipeline

import (
	"context"

	"github.com/twochat-connector/twochat-connector/connector/fleet"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// Present lists the instances that announce themselves in a sink, by the names that people know them by. known is false
// if the sink does not tell: then nothing follows from an empty list.
func Present(ctx context.Context, sink sinks.Sink) (names []string, known bool) {
	board, can := sink.(fleet.Board)
	if !can {
		return nil, false
	}
	ids, err := board.ListMembers(ctx)
	for _, id := range ids {
		names = append(names, fleet.Name(id))
	}
	return names, err == nil
}
