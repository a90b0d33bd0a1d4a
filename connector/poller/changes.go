package poller

import (
	"slices"
	"sync"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

const (
	// changesKept is how many changes of state are remembered, of all streams together.
	changesKept = 20
	// sameChange is within how much time the same change of several streams counts as one: a broker that goes down takes
	// them all along.
	sameChange = time.Minute
)

// Change is a change of state, of one stream or of several at about the same time.
type Change struct {
	// At is when it began; that of the first stream, where there are several.
	At time.Time `json:"at"`
	// Stream is the first stream, Times how often it was met, of that one and others.
	Stream string              `json:"stream"`
	Times  int                 `json:"times"`
	Was    StreamState         `json:"was"`
	State  StreamState         `json:"state"`
	Fault  connector.PageFault `json:"fault,omitempty"`
	Cause  string              `json:"cause,omitempty"`
}

// same reports whether another change is the same, of another stream.
func (c Change) same(other Change) bool {
	return c.Was == other.Was && c.State == other.State && c.Fault == other.Fault && other.At.Sub(c.At) < sameChange
}

// Changes are the newest changes of state of all streams of a process. It is safe for concurrent use.
type Changes struct {
	mu   sync.Mutex
	list []Change // oldest first
}

// NewChanges returns a list without changes.
func NewChanges() *Changes { return &Changes{} }

// add notes a change of one stream.
func (c *Changes) add(change Change) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	change.Times = 1
	for i := len(c.list) - 1; i >= 0; i-- {
		if known := &c.list[i]; known.same(change) && known.Stream != change.Stream {
			known.Times++
			return
		}
	}
	if len(c.list) == changesKept {
		c.list = slices.Delete(c.list, 0, 1)
	}
	c.list = append(c.list, change)
}

// Newest returns the changes, newest first.
func (c *Changes) Newest() []Change {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := slices.Clone(c.list)
	slices.Reverse(list)
	return list
}
