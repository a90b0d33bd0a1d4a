package poller

import (
	"slices"
	"sync"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

const (
	// changesKept is how many changes of state are kept, over all streams.
	changesKept = 20
	// sameChange is the time within which the same change of several streams counts as one: a broker that goes down
	// affects them all.
	sameChange = time.Minute
)

// Change is a change of state, of one stream or of several at about the same time.
type Change struct {
	// At is when it began; if several streams changed, when the first did.
	At time.Time `json:"at"`
	// Stream is the first stream that changed. Times is how many changes are counted, including that one.
	Stream string              `json:"stream"`
	Times  int                 `json:"times"`
	Was    StreamState         `json:"was"`
	State  StreamState         `json:"state"`
	Fault  connector.PageFault `json:"fault,omitempty"`
	Cause  string              `json:"cause,omitempty"`
}

// same reports whether two changes are alike, apart from the stream.
func (c Change) same(other Change) bool {
	return c.Was == other.Was && c.State == other.State && c.Fault == other.Fault && other.At.Sub(c.At) < sameChange
}

// Changes are the newest changes of state of all streams of a process. It is safe for concurrent use.
type Changes struct {
	mu   sync.Mutex
	list []Change // oldest first
}

// NewChanges returns an empty list.
func NewChanges() *Changes { return &Changes{} }

// add records a change of one stream.
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
