package jetstream

import (
	"slices"
	"sync"

	"github.com/twochat-connector/twochat-connector/connector"
	natssink "github.com/twochat-connector/twochat-connector/sinks/nats"
)

// bodyPool holds the buffers for the messages of commits.
type bodyPool struct{ pool sync.Pool } // of *[]byte

// borrow takes a buffer for the bodies of events. There are as many buffers as concurrent commits, not one for each
// stream.
func (p *bodyPool) borrow(events []connector.Event) *[]byte {
	size := 0
	for i := range events {
		size += len(events[i].Data) + natssink.StructuredOverhead
	}
	bodies, ok := p.pool.Get().(*[]byte)
	if !ok {
		bodies = new([]byte)
	}
	*bodies = slices.Grow((*bodies)[:0], size)
	return bodies
}

// giveBack returns a buffer that nobody reads any more.
func (p *bodyPool) giveBack(bodies *[]byte) { p.pool.Put(bodies) }
