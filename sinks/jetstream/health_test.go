package jetstream

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// TestHealth_answerTimeout: a server that answers late is waited for longer, but a dead leader is not waited for that
// long.
func TestHealth_answerTimeout(t *testing.T) {
	k := &link{timeout: 10 * time.Second, health: health{answerTimeout: firstAnswerTimeout}}
	if got := k.answerTimeout(0); got != firstAnswerTimeout {
		t.Errorf("%s at first", got)
	}
	if got := k.answerTimeout(2 * slowest); got != firstAnswerTimeout+2*time.Second {
		t.Errorf("%s for much to send", got)
	}
	now := time.Now()
	k.health.giveUp("a", now.Add(-4*time.Second))
	k.health.late("b", now) // nobody waited for it
	if got := k.answerTimeout(0); got != firstAnswerTimeout {
		t.Errorf("%s after an answer that was not given up", got)
	}
	k.health.late("a", now)
	if got := k.answerTimeout(0); got != 8*time.Second {
		t.Errorf("%s after an answer that took 4s", got)
	}
	k.health.late("a", now.Add(time.Hour)) // it counts only once
	k.health.giveUp("c", now.Add(-time.Minute))
	k.health.late("c", now)
	if got := k.answerTimeout(0); got != k.timeout {
		t.Errorf("%s is more than the time-out", got)
	}
	for range 50 {
		k.note(nil)
	}
	if got := k.answerTimeout(0); got != firstAnswerTimeout {
		t.Errorf("%s after quick answers again", got)
	}
	for i := range 3 * remembered {
		k.health.giveUp(string(rune('a'+i)), now)
	}
	if n := len(k.health.givenUp); n > remembered {
		t.Errorf("%d exchanges are remembered", n)
	}
}

// TestHealth_lagWait: what a slow server sends is waited for longer, so that a log can be read back from it.
func TestHealth_lagWait(t *testing.T) {
	k := &link{timeout: 10 * time.Second, health: health{answerTimeout: firstAnswerTimeout}}
	if got := lagWait(k); got != leastLagWait {
		t.Errorf("%s at first", got)
	}
	if got := lagWait(&link{timeout: time.Second}); got != time.Second {
		t.Errorf("%s with a time-out of 1s", got)
	}
	now := time.Now()
	k.health.giveUp("a", now.Add(-4*time.Second))
	k.health.late("a", now)
	if got := lagWait(k); got < 4*time.Second || got > k.timeout {
		t.Errorf("%s after an answer that took 4s", got)
	}
	k.health.giveUp("b", now.Add(-time.Minute))
	k.health.late("b", now)
	if got := lagWait(k); got > k.timeout {
		t.Errorf("%s is more than the time-out", got)
	}
}

// TestHealth_slowServer: a server that answers, but late, is waited for as long as it stays slow.
func TestHealth_slowServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &link{
			timeout: 10 * time.Second, waiting: make(map[string]*exchange),
			health: health{answerTimeout: 10 * time.Second},
		}
		answer := func(took time.Duration) {
			_, done := k.await("a", 1, nil)
			time.Sleep(took)
			k.route(&natsgo.Msg{Subject: "a.1"})
			done(false)
			k.note(nil)
		}
		for i := range 30 {
			if answer(4 * time.Second); k.answerTimeout(0) < 8*time.Second {
				t.Fatalf("after %d answers that took 4s each, %s for the next", i+1, k.answerTimeout(0))
			}
		}
		for range 30 {
			answer(time.Millisecond)
		}
		if got := k.answerTimeout(0); got != firstAnswerTimeout {
			t.Errorf("%s after quick answers again", got)
		}
	})
}

// TestHealth_lateAnswer learns this from a server behind a slow connection.
func TestHealth_lateAnswer(t *testing.T) {
	t.Parallel()
	s, c := startStream(t)
	p := startProxy(t, s.url())
	c.URL, c.Timeout = p.url(), 10*time.Second
	log, checkpoint := own(t, c, connector.ModeStructured)
	k := log.sink.held()
	k.mu.Lock()
	k.health.answerTimeout = 300 * time.Millisecond
	k.health.left = time.Now() // otherwise the connection would be left, and the answer lost with it
	k.mu.Unlock()
	p.hold()
	events := sinktest.Events(log.claim.Stream, 1, 3)
	wantUnclear(t, log.Commit(t.Context(), events, nil, sinktest.Next(checkpoint, events, nil, 0)))
	p.release()
	eventually(t, "the late answer", func() bool { return k.answerTimeout(0) > 600*time.Millisecond })
	state := acquireSoon(t, log)
	commit(t, log, state.Checkpoint, sinktest.Events(log.claim.Stream, state.Checkpoint.Sequence+1, 3))
}

// TestHealth_silences: silences are counted relative to answers, and start again after an answer.
func TestHealth_silences(t *testing.T) {
	t.Parallel()
	s, c := startStream(t)
	sink := openSink(t, c, connector.ModeStructured)
	k, err := sink.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		err  error
		want int
	}{
		{errNoResponders, 1},
		{&apiError{Code: codeClusterNotLeader}, 2},
		{nil, 0},
		{errNoAnswer, 1},
		{errLost, 1},
		{&apiError{Code: codeNoMessage}, 0},
		{&apiError{Code: codeClusterUnavailable}, 1},
	} {
		k.note(step.err)
		if k.health.silences != step.want {
			t.Fatalf("after %v: %d silences, want %d", step.err, k.health.silences, step.want)
		}
	}
	if !k.health.left.IsZero() {
		t.Error("the only server was left, though it answers")
	}
	// One server cannot be replaced by another; one that does not even answer a ping is nevertheless tried again.
	p := startProxy(t, s.url())
	c.URL = p.url()
	other := openSink(t, c, connector.ModeStructured)
	if k, err = other.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.deaf.Store(true)
	k.note(errNoAnswer)
	p.deaf.Store(false)
	if k.health.left.IsZero() {
		t.Error("a server that hangs was not left")
	}
	eventually(t, "a new connection", func() bool {
		return k.conn.Status() == natsgo.CONNECTED && k.conn.Stats().Reconnects > 0
	})
}

// TestHealth_leavesForAnother: a server that answers pings and knows no leader is left if there is another, and not
// again at once.
func TestHealth_leavesForAnother(t *testing.T) {
	t.Parallel()
	c := config(startServer(t, nil).url() + "," + startServer(t, nil).url())
	k, err := openSink(t, c, connector.ModeStructured).connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	first := k.conn.ConnectedUrl()
	k.note(errNoResponders)
	if !k.health.left.IsZero() {
		t.Fatal("left at the first silence")
	}
	k.note(errNoResponders)
	eventually(t, "the other server", func() bool { return k.conn.IsConnected() && k.conn.ConnectedUrl() != first })
	for range 3 * silencesBorne {
		k.note(errNoResponders)
	}
	if n := k.conn.Stats().Reconnects; n != 1 {
		t.Errorf("%d reconnects", n)
	}
}

// TestOutcome_odd: a refusal for an unknown reason is not repeated forever.
func TestOutcome_odd(t *testing.T) {
	t.Parallel()
	_, c := startStream(t)
	log, checkpoint := own(t, c, connector.ModeStructured)
	strange := &apiError{400, 99998, "something new"}
	k := log.sink.held()
	for round := range 2 {
		for range oddities - 1 {
			wantUnclear(t, failed(log, k).outcome(t.Context(), strange))
			checkpoint = acquire(t, log).Checkpoint
		}
		if round == 0 { // a successful commit resets the count
			checkpoint = commit(t, log, checkpoint, sinktest.Events(log.claim.Stream, 1, 2))
		}
	}
	wantRefused(t, failed(log, k).outcome(t.Context(), strange), "something new",
		"twochat-connector check")
	// Fenced takes precedence over everything else, including failures that may pass.
	acquire(t, log)
	acquire(t, openLog(t, openSink(t, c, connector.ModeStructured), sinktest.Claim(stream, "two")))
	for _, err := range []error{
		strange, &apiError{400, codeDuplicateInBatch, ""}, &apiError{503, codeStoreFailed, ""},
		errNoResponders, &deniedError{subject: "x"},
	} {
		log.acquired, log.fenced = true, false
		if got := failed(log, k).outcome(t.Context(), err); !errors.Is(got, connector.ErrFenced) ||
			log.acquired {
			t.Errorf("%v: got %v, want ErrFenced", err, got)
		}
	}
}
