package jetstream

import (
	"errors"
	"time"

	natsgo "github.com/nats-io/nats.go"
)

const (
	// firstAnswerTimeout is how long to wait for an answer from a server that has not proven slow. So a dead leader or a
	// hung server costs no more than that.
	firstAnswerTimeout = 2500 * time.Millisecond
	// slowest is the bytes per second that every connection is expected to carry.
	slowest = 512 << 10
	// echoPatience is how long a silent server may take to answer a ping.
	echoPatience = time.Second
	// silencesBorne is how many requests in a row may get no answer, or find no leader, before another server is tried.
	silencesBorne = 2
	// leaveEvery is the shortest time between two changes of the server: an election takes several seconds on whichever
	// server.
	leaveEvery = 5 * time.Second
	// remembered is how many abandoned exchanges are remembered.
	remembered = 64
)

// health is what the exchanges over a connection show about its server.
type health struct {
	answerTimeout time.Duration
	took          time.Duration        // how long the last answer took
	silences      int                  // in a row
	left          time.Time            // when the server was last changed
	givenUp       map[string]time.Time // begin of the exchanges whose answers were given up
}

// giveUp remembers an exchange: if its answer comes after all, the server is slow, but not down.
func (h *health) giveUp(batch string, began time.Time) {
	if h.givenUp == nil || len(h.givenUp) >= remembered {
		h.givenUp = make(map[string]time.Time)
	}
	h.givenUp[batch] = began
}

// late learns from an answer that came after it was given up.
func (h *health) late(batch string, now time.Time) {
	began, ok := h.givenUp[batch]
	if !ok {
		return
	}
	delete(h.givenUp, batch)
	h.answerTimeout = max(h.answerTimeout, 2*now.Sub(began))
}

// answerTimeout is how long to wait for the next answer to a request of this size.
func (k *link) answerTimeout(bytes int) time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return min(k.timeout, k.health.answerTimeout+time.Duration(bytes)*time.Second/slowest)
}

// note records how an exchange ended, and leaves a server that is silent, or knows no leader, for another one. A server
// that answers pings may be cut off from its peers; one that does not answer them is left at once.
func (k *link) note(err error) {
	var api *apiError
	silent := errors.Is(err, errNoAnswer)
	headless := errors.Is(err, errNoResponders) || errors.As(err, &api) &&
		(api.Code == codeClusterUnavailable || api.Code == codeClusterNotLeader)
	k.mu.Lock()
	if !silent && !headless {
		if err == nil || api != nil {
			k.health.silences = 0
			// A slow server may become faster, so the wait shrinks; but an answer that was slow just now is waited for as long
			// again.
			k.health.answerTimeout = max(firstAnswerTimeout, 2*k.health.took, k.health.answerTimeout-k.health.answerTimeout/8)
		}
		k.mu.Unlock()
		return
	}
	k.health.silences++
	enough, fresh := k.health.silences >= silencesBorne, time.Since(k.health.left) < leaveEvery
	k.mu.Unlock()
	if fresh || !k.conn.IsConnected() {
		return
	}
	hangs := silent && k.conn.FlushTimeout(min(echoPatience, k.timeout)) != nil
	if !hangs && (!enough || len(k.conn.Servers()) < 2) {
		return
	}
	k.leave()
}

// leave changes to the next server.
func (k *link) leave() {
	k.mu.Lock()
	if time.Since(k.health.left) < leaveEvery {
		k.mu.Unlock()
		return
	}
	k.health.left, k.health.silences = time.Now(), 0
	k.mu.Unlock()
	if err := k.conn.ForceReconnect(); err != nil && !errors.Is(err, natsgo.ErrConnectionClosed) {
		k.conn.Close() // then it is dialled again
	}
}
