package jetstream

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/fleet"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

var _ fleet.Board = (*Sink)(nil)

const member = "pod-abc:8080.x7=_-"

// notice is what was heard of a member.
type notice struct {
	id     string
	leaves bool
}

// hear listens until the test ends, and returns once the server knows.
func hear(t *testing.T, sink *Sink) <-chan notice {
	t.Helper()
	notices, ended := make(chan notice, 100), make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		ended <- sink.HearMembers(ctx, func(id string, leaves bool) { notices <- notice{id, leaves} })
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	eventually(t, "to listen", func() bool {
		announce(t, sink, "listener")
		select {
		case n := <-notices:
			return n.id == "listener"
		default:
			return false
		}
	})
	withdraw(t, sink, "listener")
	for next(t, notices) != (notice{"listener", true}) {
	}
	return notices
}

// next is what is heard next.
func next(t *testing.T, notices <-chan notice) notice {
	t.Helper()
	select {
	case n := <-notices:
		return n
	case <-deadline(t, 10*time.Second).Done():
		t.Fatal("nothing is heard")
		return notice{}
	}
}

func announce(t testing.TB, sink *Sink, id string) {
	t.Helper()
	if err := sink.AnnounceMember(t.Context(), id); err != nil {
		t.Fatal(err)
	}
}

func withdraw(t testing.TB, sink *Sink, id string) {
	t.Helper()
	if err := sink.WithdrawMember(t.Context(), id); err != nil {
		t.Fatal(err)
	}
}

func wantMembers(t testing.TB, sink *Sink, want ...string) {
	t.Helper()
	got, err := sink.ListMembers(t.Context())
	slices.Sort(got)
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("members %q, %v, want %q", got, err, want)
	}
}

func TestMembers(t *testing.T) {
	t.Parallel()
	_, c := startStream(t)
	one, two := openSink(t, c, connector.ModeStructured), openSink(t, c, connector.ModeStructured)
	if one.life != fleet.Lifetime {
		t.Errorf("announcements count for %s, and should for %s", one.life, fleet.Lifetime)
	}
	wantMembers(t, two)
	notices := hear(t, two)
	for range 3 {
		announce(t, one, member)
		wantMembers(t, two, member)
		if got := next(t, notices); got != (notice{member, false}) {
			t.Errorf("heard %+v", got)
		}
	}
	wantWarning(t, one, "") // check is not heard
	announce(t, one, "b")
	wantMembers(t, two, "b", member)
	if got := next(t, notices); got != (notice{"b", false}) {
		t.Errorf("heard %+v", got)
	}
	withdraw(t, one, member)
	if got := next(t, notices); got != (notice{member, true}) {
		t.Errorf("heard %+v", got)
	}
	wantMembers(t, one, "b")
	withdraw(t, two, "nobody")
}

// TestMembers_expire measures how long a member is listed that announces itself no more.
func TestMembers_expire(t *testing.T) {
	t.Parallel()
	_, c := startStream(t)
	sink := openSink(t, c, connector.ModeStructured)
	sink.life = time.Second
	announced := time.Now()
	announce(t, sink, "gone")
	if listed, err := sink.ListMembers(t.Context()); err != nil || len(listed) != 1 {
		t.Fatal(listed, err)
	}
	eventually(t, "to expire", func() bool {
		listed, err := sink.ListMembers(t.Context())
		return err == nil && len(listed) == 0
	})
	// The server's timers have a grain of a second.
	if took := time.Since(announced); took < sink.life || took > sink.life+4*time.Second {
		t.Errorf("listed for %s", took)
	}
}

// TestMembers_alone names what keeps members from finding each other, and how to mend it. One replica starts all the
// same.
func TestMembers_alone(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		change func(*jetstream.StreamConfig)
		hint   string
	}{
		{"of an earlier release", func(c *jetstream.StreamConfig) {
			c.Subjects = subjects(DefaultSubject)
		}, "nats stream edit WHATSAPP --subjects 'whatsapp.>,whatsapp-checkpoint.*,whatsapp-quarantine.*,whatsapp-members.*'"},
		{"made without TTL", func(c *jetstream.StreamConfig) {
			c.AllowMsgTTL = false
		}, "nats stream edit WHATSAPP --allow-msg-ttl"},
		{"both", func(c *jetstream.StreamConfig) {
			c.Subjects, c.AllowMsgTTL = subjects(DefaultSubject), false
		}, "whatsapp-members.*' --allow-msg-ttl"},
		{"markers", func(c *jetstream.StreamConfig) {
			c.AllowRollup, c.SubjectDeleteMarkerTTL = true, time.Minute
		}, "nats stream edit WHATSAPP --subject-del-markers-ttl=0s"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, nil)
			sink := openSink(t, config(s.url()), connector.ModeStructured)
			streamConfig := sink.config.streamConfig(1)
			row.change(&streamConfig)
			addStream(t, s.url(), streamConfig)
			wantRefused(t, sink.AnnounceMember(t.Context(), member), row.hint, "only one may run")
			_, err := sink.ListMembers(t.Context())
			wantRefused(t, err, row.hint)
			wantWarning(t, sink, row.hint)
			log := openLog(t, sink, sinktest.Claim(stream, "one"))
			commit(t, log, acquire(t, log).Checkpoint, sinktest.Events(log.claim.Stream, 1, 3))

			edit(t, s.url(), func(c *jetstream.StreamConfig) { // what the hint says
				c.Subjects, c.AllowMsgTTL, c.SubjectDeleteMarkerTTL = sink.config.subjects(), true, 0
			})
			sink.forgetSettings()
			announce(t, sink, member)
			wantMembers(t, sink, member)
		})
	}
}

// wantWarning expects of check exactly one warning with these words about members, and no refusal; none without words.
func wantWarning(t *testing.T, sink *Sink, words string) {
	t.Helper()
	findings, err := sink.Check(t.Context(), []connector.Claim{sinktest.Claim(stream, "one")})
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, f := range findings {
		if f.Level == connector.FindingRefused {
			t.Errorf("refused: %+v", f)
		}
		if strings.Contains(f.Text+f.Hint, "members") || strings.Contains(f.Text, "replicas do not find") {
			found++
			if f.Level != connector.FindingWarning || !strings.Contains(f.Text+": "+f.Hint, words) {
				t.Errorf("got %+v, want %q", f, words)
			}
		}
	}
	if (found == 1) != (words != "") || found > 1 {
		t.Errorf("%d findings about members, want %q: %+v", found, words, findings)
	}
}

// TestMembers_rights runs with the rights that one replica needs, and with one more after the other.
func TestMembers_rights(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name               string
		publish, subscribe []string
		announce           string // part of the refusal
		hear               string
		check              string
	}{
		{
			"of an earlier release", nil, nil, "no right to publish to whatsapp-members.*",
			"may not subscribe to whatsapp-members.*", "no right to publish to whatsapp-members.*",
		},
		{
			"may not hear",
			[]string{"whatsapp-members.*"},
			nil, "", "may not subscribe to whatsapp-members.*",
			"allow it to publish and to subscribe to whatsapp-members.*",
		},
		{"all", []string{"whatsapp-members.*"}, []string{"whatsapp-members.*"}, "", "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, func(o *server.Options) {
				o.Users = []*server.User{{Username: "admin", Password: "admin"}, {
					Username: "connector", Password: "x",
					Permissions: &server.Permissions{
						Publish: &server.SubjectPermission{Allow: append([]string{
							"whatsapp.>", "whatsapp-checkpoint.*", "whatsapp-quarantine.*", "$JS.API.STREAM.INFO.WHATSAPP",
							"$JS.API.STREAM.MSG.GET.WHATSAPP", "$JS.API.DIRECT.GET.WHATSAPP", "$JS.API.CONSUMER.>",
							"$JS.API.STREAM.PURGE.WHATSAPP",
						}, row.publish...)},
						Subscribe: &server.SubjectPermission{Allow: append([]string{"_INBOX.>"}, row.subscribe...)},
					},
				}}
				o.NoAuthUser = "connector"
			})
			sink := openSink(t, config(s.url()), connector.ModeStructured)
			addStream(t, strings.Replace(s.url(), "nats://", "nats://admin:admin@", 1), sink.config.streamConfig(1))
			wantWarning(t, sink, row.check)
			denied := violations(t, sink)
			if row.announce != "" {
				wantRefused(t, sink.AnnounceMember(t.Context(), member), row.announce)
				wantMembers(t, sink)
			} else {
				announce(t, sink, member)
				wantMembers(t, sink, member)
			}
			if row.hear != "" {
				for range 3 {
					wantRefused(t, sink.HearMembers(deadline(t, 5*time.Second), func(string, bool) {}), row.hear)
				}
			} else {
				notices := hear(t, sink)
				withdraw(t, sink, member)
				if got := next(t, notices); got != (notice{member, true}) {
					t.Errorf("heard %+v", got)
				}
			}
			// Each is logged, so there is one for each missing right, and none at the end.
			wanted := 0
			for _, missing := range []string{row.announce, row.hear} {
				if missing != "" {
					wanted++
				}
			}
			if err := sink.WithdrawMember(t.Context(), member); (err != nil) != (row.announce != "") {
				t.Error(err)
			}
			if err := sink.held().conn.FlushTimeout(time.Second); err != nil {
				t.Fatal(err)
			}
			wantMembers(t, sink)
			if got := denied.Load(); got != int32(wanted) {
				t.Errorf("%d violations, want %d", got, wanted)
			}
		})
	}
}

// violations counts what the server denies over the sink's connection.
func violations(t *testing.T, sink *Sink) *atomic.Int32 {
	t.Helper()
	conn, count := sink.held().conn, new(atomic.Int32)
	told := conn.ErrorHandler()
	conn.SetErrorHandler(func(c *natsgo.Conn, sub *natsgo.Subscription, err error) {
		if errors.Is(err, natsgo.ErrPermissionViolation) {
			count.Add(1)
		}
		told(c, sub, err)
	})
	return count
}

// TestMembers_firstStart: a stream that held nothing but announcements is a new one, however long ago they expired; one
// that was purged while members announce themselves is not.
func TestMembers_firstStart(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		other []string
	}{{"own stream", nil}, {"shared stream", []string{"other.>"}}} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, nil)
			sink := openSink(t, config(s.url()), connector.ModeStructured)
			streamConfig := sink.config.streamConfig(1)
			streamConfig.Subjects = append(streamConfig.Subjects, row.other...)
			addStream(t, s.url(), streamConfig)
			for range 3 {
				announce(t, sink, member)
			}
			withdraw(t, sink, member)
			// What is left outlives the events' max_age.
			left := all(t, s.client(t), DefaultStream, ">")
			if len(left) != 1 || left[0].Header.Get(headerTTL) != "never" {
				t.Fatalf("%d messages are left: %+v", len(left), left)
			}
			log := openLog(t, sink, sinktest.Claim(stream, "one"))
			commit(t, log, acquire(t, log).Checkpoint, sinktest.Events(log.claim.Stream, 1, 3))
			if err := s.client(t).PurgeStream(DefaultStream); err != nil {
				t.Fatal(err)
			}
			again := openSink(t, sink.config, connector.ModeStructured)
			announce(t, again, member)
			_, err := openLog(t, again, sinktest.Claim(stream, "two")).Acquire(t.Context())
			wantRefused(t, err, "it was purged")
		})
	}
}

// TestMembers_begin: whoever comes second finds the stream begun, whatever it knew before.
func TestMembers_begin(t *testing.T) {
	t.Parallel()
	s, c := startStream(t)
	one, two := openSink(t, c, connector.ModeStructured), openSink(t, c, connector.ModeStructured)
	if _, err := two.ListMembers(t.Context()); err != nil { // it reads the settings
		t.Fatal(err)
	}
	announce(t, one, "a")
	announce(t, two, "b")
	if left := all(t, s.client(t), DefaultStream, "whatsapp-checkpoint.*"); len(left) != 1 {
		t.Errorf("%d messages", len(left))
	}
	wantMembers(t, one, "a", "b")
}

// TestMembers_full: a stream that is full takes no announcement either.
func TestMembers_full(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	sink := openSink(t, config(s.url()), connector.ModeStructured)
	streamConfig := sink.config.streamConfig(1)
	streamConfig.MaxMsgs = 1
	addStream(t, s.url(), streamConfig)
	if err := sink.AnnounceMember(t.Context(), member); !errors.Is(err, connector.ErrNotNow) {
		t.Fatalf("got %v, want ErrNotNow", err)
	}
	wantMembers(t, sink)
}

// TestMembers_behind: a server that does not hold the sink's own announcement cannot tell who else is there.
func TestMembers_behind(t *testing.T) {
	t.Parallel()
	_, c := startStream(t)
	sink := openSink(t, c, connector.ModeStructured)
	announce(t, sink, member)
	sink.announced++
	if _, err := sink.ListMembers(t.Context()); !errors.Is(err, connector.ErrNotNow) {
		t.Fatalf("got %v, want ErrNotNow", err)
	}
}

// TestMembers_besideEvents: what members announce is in nobody's way who reads the stream.
func TestMembers_besideEvents(t *testing.T) {
	t.Parallel()
	_, c := startStream(t)
	sink := openSink(t, c, connector.ModeStructured)
	log := openLog(t, sink, sinktest.Claim(stream, "one"))
	checkpoint := acquire(t, log).Checkpoint
	for range 4 {
		announce(t, sink, member)
		checkpoint = commit(t, log, checkpoint, sinktest.Events(log.claim.Stream, checkpoint.Sequence+1, 100))
	}
	for range 50 {
		announce(t, sink, member)
	}
	claim := sinktest.Claim(stream, "two")
	claim.Window = 300
	again := openSink(t, c, connector.ModeStructured)
	if state := acquire(t, openLog(t, again, claim)); len(state.Seen) != 300 || state.Checkpoint.Sequence != 400 {
		t.Errorf("%d events, sequence %d", len(state.Seen), state.Checkpoint.Sequence)
	}
	read := 0
	if err := again.ReadBack(t.Context(), "", func(r connector.StoredRecord) error {
		read++
		return r.Fault
	}, func([]byte) error { return errors.New("a reject") }); err != nil || read != 400 {
		t.Errorf("read back %d events, %v", read, err)
	}
	read = 0
	if err := again.Follow(t.Context(), connector.FollowOptions{Last: 20, Once: true}, func([]byte) error {
		read++
		return nil
	}); err != nil || read != 20 {
		t.Errorf("followed %d events, %v", read, err)
	}
	// Another stream's first start looks through all checkpoints.
	acquire(t, openLog(t, again, sinktest.Claim("another", "two")))
	wantMembers(t, again, member)
}
