package jetstream

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// TestEdits changes the stream under a log that commits. What only a person can fix is a refusal at the first commit,
// and when the change is reverted the log continues.
func TestEdits(t *testing.T) {
	t.Parallel()
	rejects := []connector.Reject{sinktest.Reject(connector.Stream{Name: stream}, 1)}
	for _, row := range []struct {
		name    string
		change  func(*jetstream.StreamConfig)
		rejects []connector.Reject
		want    []string // in the refusal; none if it is waited out
	}{
		{
			"subjects without the checkpoints", func(c *jetstream.StreamConfig) { c.Subjects = []string{"whatsapp.>"} }, nil,
			[]string{"whatsapp-checkpoint.*", "stream edit"},
		},
		{"subjects without the events", func(c *jetstream.StreamConfig) {
			c.Subjects = []string{"whatsapp-checkpoint.*", "whatsapp-quarantine.*"}
		}, nil, []string{"whatsapp.>", "stream edit"}},
		{"subjects without the quarantine", func(c *jetstream.StreamConfig) {
			c.Subjects = []string{"whatsapp.>", "whatsapp-checkpoint.*"}
		}, rejects, []string{"whatsapp-quarantine.*", "stream edit"}},
		{
			"few messages a subject", func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject, c.DiscardNewPerSubject = 2, true },
			nil,
			[]string{"messages on each subject", "--max-msgs-per-subject=-1"},
		},
		{"small messages", func(c *jetstream.StreamConfig) {
			c.MaxMsgSize = 300
		}, nil, []string{"300 bytes", "--max-msg-size=-1"}},
		{"no acks", func(c *jetstream.StreamConfig) { c.NoAck = true }, nil, []string{"does not acknowledge messages", "--ack"}},
		{"no batches", func(c *jetstream.StreamConfig) {
			c.AllowAtomicPublish = false
		}, nil, []string{"atomic batches", "--allow-batch"}},
		{"sealed", func(c *jetstream.StreamConfig) { c.Sealed = true }, nil, []string{"sealed", "stream rm"}},
		{"full", func(c *jetstream.StreamConfig) { c.MaxMsgs = 4 }, nil, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s, c := startStream(t)
			c.Timeout = time.Second
			log, checkpoint := own(t, c, connector.ModeStructured)
			events := sinktest.Events(log.claim.Stream, 1, 12)
			checkpoint = commit(t, log, checkpoint, events[:2])
			was := manager(t, s.url())
			edit(t, s.url(), row.change)
			next := sinktest.Next(checkpoint, events[2:], row.rejects, 2)
			err := log.Commit(t.Context(), events[2:], row.rejects, next)
			if len(row.want) == 0 {
				var full *connector.Unavailable
				if !errors.As(err, &full) || !strings.Contains(full.Cause, "it is full") || !strings.Contains(full.Hint,
					"--max-msgs=-1") {
					t.Fatalf("got %v, want it to be waited out, with a hint", err)
				}
			} else {
				wantRefused(t, err, row.want...)
			}
			if row.name == "sealed" {
				return // permanently
			}
			st, err := was.Stream(t.Context(), DefaultStream)
			if err != nil {
				t.Fatal(err)
			}
			config := log.sink.config.streamConfig(1)
			config.Metadata = st.CachedInfo().Config.Metadata
			if _, err := was.UpdateStream(t.Context(), config); err != nil {
				t.Fatal(err)
			}
			log.sink.forgetSettings()
			state := acquire(t, log)
			left := events[state.Checkpoint.Sequence:] // what was not acknowledged may nevertheless be there
			if err := log.Commit(t.Context(), left, row.rejects, sinktest.Next(state.Checkpoint, left, row.rejects,
				2)); err != nil {
				t.Fatal(err)
			}
			wantSequences(t, s.client(t), stream, 12)
		})
	}
}

// TestSettings_lookedAtAgain: a setting that loses messages is found although all commits succeed.
func TestSettings_lookedAtAgain(t *testing.T) {
	t.Parallel()
	s, c := startStream(t)
	log, checkpoint := own(t, c, connector.ModeStructured)
	checkpoint = commit(t, log, checkpoint, sinktest.Events(log.claim.Stream, 1, 90))
	edit(t, s.url(), func(c *jetstream.StreamConfig) { c.MaxMsgs, c.Discard = 100, jetstream.DiscardOld })
	checkpoint = commit(t, log, checkpoint, sinktest.Events(log.claim.Stream, 91, 5)) // not noticed yet
	log.sink.mu.Lock()
	log.sink.settings.read = log.sink.settings.read.Add(-settingsAge)
	log.sink.mu.Unlock()
	events := sinktest.Events(log.claim.Stream, 96, 5)
	for range 2 {
		wantRefused(t, log.Commit(t.Context(), events, nil, sinktest.Next(checkpoint, events, nil, 95)),
			"discards the oldest messages", "--discard new")
	}
	_, err := log.Acquire(t.Context())
	wantRefused(t, err, "discards the oldest messages")
	// An owner that was overtaken is told that instead.
	edit(t, s.url(), func(c *jetstream.StreamConfig) { c.MaxMsgs = -1 })
	acquire(t, openLog(t, openSink(t, c, connector.ModeStructured), sinktest.Claim(stream, "two")))
	edit(t, s.url(), func(c *jetstream.StreamConfig) { c.MaxMsgs = 100 })
	log.sink.forgetSettings()
	log.acquired = true
	if err := log.Commit(t.Context(), events, nil, sinktest.Next(checkpoint, events, nil, 95)); !errors.Is(err,
		connector.ErrFenced) {
		t.Errorf("got %v, want ErrFenced", err)
	}
}

// lines is a log that can be read while it is written.
type lines struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

func (l *lines) count(words string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.out.String(), words)
}

// TestSettings_warnsOnce: what weakens the promise is reported when it is first noticed, and not at every check.
func TestSettings_warnsOnce(t *testing.T) {
	t.Parallel()
	s, c := startStream(t)
	var said lines
	sink, err := Open(c, connector.Encoding{TypePrefix: sinktest.TypePrefix}, slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	if _, err := sink.Check(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	log := openLog(t, sink, sinktest.Claim(stream, "one"))
	checkpoint := acquire(t, log).Checkpoint
	edit(t, s.url(), func(c *jetstream.StreamConfig) { c.AllowRollup = true })
	for i := range uint64(3) {
		sink.forgetSettings()
		checkpoint = commit(t, log, checkpoint, sinktest.Events(log.claim.Stream, i+1, 1))
	}
	if n := said.count("Nats-Rollup"); n != 1 {
		t.Errorf("warned %d times", n)
	}
	if n := said.count("one replica"); n != 0 {
		t.Errorf("repeated %d times what the check said", n)
	}
}

// TestRightWithdrawn takes permissions away from a user that has them, and gives them back.
func TestRightWithdrawn(t *testing.T) {
	t.Parallel()
	rights := []string{"$JS.API.>", "whatsapp.>", "whatsapp-checkpoint.>", "whatsapp-quarantine.>", "$SYS.REQ.>"}
	for _, row := range []struct{ right, want string }{
		{"whatsapp.>", "whatsapp." + stream + ".>"},
		{"whatsapp-checkpoint.>", "whatsapp-checkpoint." + stream},
	} {
		t.Run(row.right, func(t *testing.T) {
			t.Parallel()
			users := func(allow []string) []*server.User {
				return []*server.User{{Username: "admin", Password: "admin"}, {
					Username: "connector", Password: "x",
					Permissions: &server.Permissions{Publish: &server.SubjectPermission{Allow: allow}},
				}}
			}
			s := startServer(t, func(o *server.Options) { o.Users, o.NoAuthUser = users(rights), "connector" })
			admin := strings.Replace(s.url(), "nats://", "nats://admin:admin@", 1)
			c := config(s.url())
			sink := openSink(t, c, connector.ModeStructured)
			addStream(t, admin, sink.config.streamConfig(1))
			log := openLog(t, sink, sinktest.Claim(stream, "one"))
			events := sinktest.Events(log.claim.Stream, 1, 6)
			checkpoint := commit(t, log, acquire(t, log).Checkpoint, events[:3])
			reload := func(allow []string) {
				options := s.options
				options.Users = users(allow)
				if err := s.server.ReloadOptions(&options); err != nil {
					t.Fatal(err)
				}
			}
			reload(slices.DeleteFunc(slices.Clone(rights), func(right string) bool { return right == row.right }))
			var refusal *connector.Refusal
			eventually(t, "a refusal", func() bool {
				if !log.acquired {
					state, err := log.Acquire(t.Context())
					if errors.As(err, &refusal) {
						return true
					}
					if err != nil {
						return false
					}
					checkpoint = state.Checkpoint
				}
				return errors.As(log.Commit(t.Context(), events[3:], nil, sinktest.Next(checkpoint, events[3:], nil, 3)), &refusal)
			})
			wantRefused(t, refusal, row.want, "allow it to publish")
			if strings.Contains(refusal.Error(), events[3].Chat) {
				t.Errorf("the refusal names a chat: %s", refusal)
			}
			reload(rights)
			state := acquireSoon(t, log)
			commit(t, log, state.Checkpoint, events[3:])
			wantSequences(t, clientOf(t, admin), stream, 6)
		})
	}
}
