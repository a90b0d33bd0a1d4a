package jetstream

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/connector"
	natssink "github.com/twochat-connector/twochat-connector/sinks/nats"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

func TestCheck_settings(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	js := manager(t, s.url())
	// The server removes the folder of an account's streams with the last stream, in the background. This stream keeps it.
	if _, err := js.CreateStream(t.Context(),
		jetstream.StreamConfig{Name: "beside", Subjects: []string{"beside"}}); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name   string
		change func(*jetstream.StreamConfig)
		level  connector.FindingLevel
		hint   string // part of it
	}{
		{"as it should be", func(*jetstream.StreamConfig) {}, "", ""},
		{"no batches", func(c *jetstream.StreamConfig) {
			c.AllowAtomicPublish = false
		}, connector.FindingRefused, "--allow-batch"},
		{"memory", func(c *jetstream.StreamConfig) {
			c.Storage = jetstream.MemoryStorage
		}, connector.FindingRefused, "nats stream add"},
		{
			"interest", func(c *jetstream.StreamConfig) { c.Retention = jetstream.InterestPolicy }, connector.FindingRefused,
			"nats stream add",
		},
		{
			"work queue", func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy }, connector.FindingRefused,
			"nats stream add",
		},
		{"no acks", func(c *jetstream.StreamConfig) { c.NoAck = true }, connector.FindingRefused, "--ack"},
		{"discard old, bytes", func(c *jetstream.StreamConfig) {
			c.Discard, c.MaxBytes = jetstream.DiscardOld, 1<<20
		}, connector.FindingRefused, "--discard new"},
		{"discard old, messages", func(c *jetstream.StreamConfig) {
			c.Discard, c.MaxMsgs = jetstream.DiscardOld, 1000
		}, connector.FindingRefused, "--discard new"},
		{"discard old", func(c *jetstream.StreamConfig) {
			c.Discard = jetstream.DiscardOld
		}, connector.FindingWarning, "--discard new"},
		{"per subject", func(c *jetstream.StreamConfig) {
			c.MaxMsgsPerSubject = 10
		}, connector.FindingRefused, "--max-msgs-per-subject=-1"},
		{"age without ttl", func(c *jetstream.StreamConfig) {
			c.AllowMsgTTL, c.MaxAge = false, time.Hour
		}, connector.FindingRefused, "--allow-msg-ttl"},
		{"age", func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }, "", ""},
		{"rollup", func(c *jetstream.StreamConfig) { c.AllowRollup = true }, connector.FindingWarning, "--no-allow-rollup"},
		{"small messages", func(c *jetstream.StreamConfig) {
			c.MaxMsgSize = 1000
		}, connector.FindingRefused, "--max-msg-size=-1"},
		{"short window", func(c *jetstream.StreamConfig) {
			c.Duplicates = time.Second
		}, connector.FindingWarning, "--dupe-window"},
		{"no quarantine", func(c *jetstream.StreamConfig) {
			c.Subjects = []string{"whatsapp.>", "whatsapp-checkpoint.*", "other"}
		}, connector.FindingRefused, "--subjects 'whatsapp.>,whatsapp-checkpoint.*,other,whatsapp-quarantine.*,whatsapp-members.*'"},
		{"async", func(c *jetstream.StreamConfig) {
			c.AllowAtomicPublish, c.PersistMode = false, jetstream.AsyncPersistMode
		}, connector.FindingRefused, "nats stream add"},
	} {
		t.Run(row.name, func(t *testing.T) {
			own := config(s.url())
			// the server removes the store of the previous row in the background
			own.Stream = strings.ReplaceAll(row.name, " ", "-")
			sink := openSink(t, own, connector.ModeStructured)
			c := sink.config.streamConfig(1)
			row.change(&c)
			if _, err := js.CreateStream(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := js.DeleteStream(t.Context(), c.Name); err != nil {
					t.Error(err)
				}
			}()
			findings, err := sink.Check(t.Context(), []connector.Claim{sinktest.Claim(stream, "one")})
			if err != nil {
				t.Fatal(err)
			}
			found := row.level == ""
			for _, finding := range findings {
				switch {
				case finding.Level == row.level && strings.Contains(finding.Hint, row.hint):
					found = true
				case row.level == "" && finding.Level == connector.FindingRefused:
					t.Errorf("refused: %+v", finding)
				}
				if finding.Level != connector.FindingOK && finding.Hint == "" {
					t.Errorf("no hint: %+v", finding)
				}
			}
			if !found {
				t.Errorf("findings %+v lack a %s one with %q", findings, row.level, row.hint)
			}
			wantEmpty(t, js, own.Stream)
		})
	}
}

// wantEmpty checks that a check wrote nothing.
func wantEmpty(t *testing.T, js jetstream.JetStream, stream string) {
	t.Helper()
	st, err := js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	if state := st.CachedInfo().State; state.Msgs != 0 || state.LastSeq != 0 {
		t.Errorf("the check left %d messages, the last at %d", state.Msgs, state.LastSeq)
	}
}

func TestCheck_missingStream(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	sink := openSink(t, config(s.url()), connector.ModeStructured)
	findings, err := sink.Check(t.Context(), nil)
	if err != nil || len(findings) != 2 || findings[1].Level != connector.FindingRefused || !findings[1].Missing ||
		!strings.Contains(findings[1].Hint, "create: true") {
		t.Fatalf("%+v, %v", findings, err)
	}
	for range 2 { // the second time it exists
		if err := sink.Create(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if findings, err = sink.Check(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for _, finding := range findings {
		if finding.Level == connector.FindingRefused {
			t.Errorf("after Create: %+v", finding)
		}
	}
}

func TestCheck_rights(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name        string
		publish     []string
		level       connector.FindingLevel
		text        string
		wantRefusal bool // of Acquire
	}{
		{"all", []string{">"}, connector.FindingOK, "may publish", false},
		{
			"no events",
			[]string{"$JS.API.>", "whatsapp-checkpoint.>", "whatsapp-quarantine.>"},
			connector.FindingRefused,
			"whatsapp." + stream, false,
		},
		{
			"no checkpoints",
			[]string{"$JS.API.>", "whatsapp.>", "whatsapp-quarantine.>"},
			connector.FindingRefused,
			"whatsapp-checkpoint." + stream, true,
		},
		{
			"no purge",
			[]string{
				"$JS.API.STREAM.INFO.>", "$JS.API.STREAM.MSG.GET.>", "$JS.API.DIRECT.>", "$JS.API.CONSUMER.>",
				"whatsapp.>", "whatsapp-checkpoint.>", "whatsapp-quarantine.>",
			},
			connector.FindingWarning, "older checkpoints",
			false,
		},
		{"no JetStream", []string{"whatsapp.>"}, connector.FindingRefused, "$JS.API.STREAM.INFO.WHATSAPP", true},
		{
			"no events, no purge",
			[]string{
				"$JS.API.STREAM.INFO.>", "$JS.API.STREAM.MSG.GET.>", "$JS.API.DIRECT.>",
				"$JS.API.CONSUMER.>", "whatsapp-checkpoint.>", "whatsapp-quarantine.>",
			},
			connector.FindingRefused,
			"whatsapp." + stream + ".>", false,
		},
		{
			"no reading",
			[]string{"$JS.API.STREAM.INFO.>", "whatsapp.>", "whatsapp-checkpoint.>", "whatsapp-quarantine.>"},
			connector.FindingRefused, "$JS.API.STREAM.MSG.GET.WHATSAPP", true,
		},
		{
			"no consumers",
			[]string{
				"$JS.API.STREAM.INFO.>", "$JS.API.STREAM.MSG.GET.>", "$JS.API.DIRECT.>", "whatsapp.>",
				"whatsapp-checkpoint.>", "whatsapp-quarantine.>",
			},
			connector.FindingRefused, "$JS.API.CONSUMER.CREATE.WHATSAPP",
			false,
		},
		{
			"no pulls",
			[]string{
				"$JS.API.STREAM.>", "$JS.API.DIRECT.>", "$JS.API.CONSUMER.CREATE.>", "whatsapp.>",
				"whatsapp-checkpoint.>", "whatsapp-quarantine.>",
			},
			connector.FindingRefused, "$JS.API.CONSUMER.MSG.NEXT.WHATSAPP",
			false,
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			// The connector connects without a user name, the test as admin.
			s := startServer(t, func(o *server.Options) {
				o.Users = []*server.User{{Username: "admin", Password: "admin"}, {
					Username: "connector", Password: "x",
					Permissions: &server.Permissions{Publish: &server.SubjectPermission{Allow: row.publish}},
				}}
				o.NoAuthUser = "connector"
			})
			admin := strings.Replace(s.url(), "nats://", "nats://admin:admin@", 1)
			c := config(s.url())
			c.Timeout = time.Second
			sink := openSink(t, c, connector.ModeStructured)
			addStream(t, admin, sink.config.streamConfig(1))
			findings, err := sink.Check(t.Context(), []connector.Claim{sinktest.Claim(stream, "one")})
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, finding := range findings {
				found = found || finding.Level == row.level && strings.Contains(finding.Text, row.text)
			}
			if !found {
				t.Errorf("findings: %+v", findings)
			}
			_, err = openLog(t, openSink(t, c, connector.ModeStructured), sinktest.Claim(stream, "one")).Acquire(t.Context())
			if refusal := (*connector.Refusal)(nil); row.wantRefusal != errors.As(err, &refusal) {
				t.Errorf("Acquire: %v", err)
			}
		})
	}
}

func TestTooOld(t *testing.T) {
	for version, want := range map[string]bool{
		"2.12.2": false, "2.12.1": true, "2.11.11": true, "2.14.0": false, "2.15.2": false, "3.0.0": false, "1.99.99": true,
		"2.12.2-RC.1": false, "v2.12.3": false, "2.12.0-beta.1": true, "dev": false, "": false,
	} {
		if got := tooOld(version); got != want {
			t.Errorf("%q: %v", version, got)
		}
	}
}

func TestCovered(t *testing.T) {
	for _, row := range []struct {
		pattern, wanted string
		want            bool
	}{
		{"whatsapp.>", "whatsapp.>", true},
		{">", "whatsapp.>", true},
		{"whatsapp.*", "whatsapp.>", false},
		{"whatsapp.*.>", "whatsapp.>", false},
		{"whatsapp.>", "whatsapp-checkpoint.*", false},
		{"*.>", "whatsapp-checkpoint.*", true},
		{"*.*", "whatsapp-checkpoint.*", true},
		{"whatsapp-checkpoint.a", "whatsapp-checkpoint.*", false},
		{"whatsapp-checkpoint.>", "whatsapp-checkpoint.*", true},
		{"a.b", "a.b", true},
		{"a.>", "a", false},
		{"a.b.c", "a.b", false},
	} {
		if got := covered([]string{"x", row.pattern}, row.wanted); got != row.want {
			t.Errorf("%s covers %s: %v", row.pattern, row.wanted, got)
		}
	}
}

func TestOpen_refusesWrongSettings(t *testing.T) {
	for _, c := range []Config{
		{},
		{Connection: natssink.Connection{URL: "http://x"}},
		{Connection: natssink.Connection{URL: "nats://127.0.0.1"}, Subject: "a..b"},
		{Connection: natssink.Connection{URL: "nats://127.0.0.1"}, Subject: "a.>"},
		{Connection: natssink.Connection{URL: "nats://127.0.0.1"}, Stream: "A.B"},
		{Connection: natssink.Connection{URL: "nats://127.0.0.1"}, Replicas: 9},
		{Connection: natssink.Connection{URL: "nats://127.0.0.1"}, MaxAge: -1},
	} {
		_, err := Open(c, connector.Encoding{}, nil)
		var refusal *connector.Refusal
		if !errors.As(err, &refusal) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
