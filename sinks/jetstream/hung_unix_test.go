//go:build unix

package jetstream

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// keepCommitting delivers one more event, like a Poller despite failures that pass, and returns the checkpoint
// afterwards.
func keepCommitting(t *testing.T, log *Log) connector.Checkpoint {
	t.Helper()
	state := acquireSoon(t, log)
	c := state.Checkpoint
	for {
		events := sinktest.Events(log.claim.Stream, c.Sequence+1, 5)
		next := sinktest.Next(c, events, nil, c.Sequence)
		if err := log.Commit(t.Context(), events, nil, next); err == nil {
			return next
		}
		c = acquireSoon(t, log).Checkpoint
	}
}

// TestHungServer stops the process of the server to which the connection goes, once while it leads the stream and once
// while it does not: another server is found while it still hangs.
func TestHungServer(t *testing.T) {
	t.Parallel()
	for _, leads := range []bool{false, true} {
		name := "another leads"
		if leads {
			name = "the leader"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodes := startNodes(t)
			c := config(urls(nodes))
			maker := openSink(t, c, connector.ModeStructured)
			eventually(t, "the stream", func() bool { return maker.Create(t.Context()) == nil })
			k, err := maker.connect(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var sink *Sink
			var attached string
			eventually(t, "a connection to the right server", func() bool {
				info, err := k.streamInfo(t.Context(), DefaultStream)
				if err != nil {
					return false
				}
				sink = openSink(t, c, connector.ModeStructured)
				k, err := sink.connect(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				attached = k.conn.ConnectedServerName()
				return (attached == info.Cluster.Leader) == leads
			})
			log := openLog(t, sink, sinktest.Claim(stream, "one"))
			before := keepCommitting(t, log)
			for _, n := range nodes {
				if n.name == attached {
					hang(t, n.process)
				}
			}
			started := time.Now()
			after := keepCommitting(t, log)
			t.Logf("a commit went through %s after %s hung", time.Since(started).Round(100*time.Millisecond), attached)
			if now := sink.held().conn.ConnectedServerName(); now == attached || after.Sequence < before.Sequence+5 {
				t.Errorf("connected to %s, sequence %d after %d", now, after.Sequence, before.Sequence)
			}
		})
	}
}

// hang stops a process that this test started, and waits until all of it has stopped.
func hang(t *testing.T, process *os.Process) {
	t.Helper()
	if err := process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("the process did not stop: %v, status %#x", err, status)
	}
}
