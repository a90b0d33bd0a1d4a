package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"gopkg.in/yaml.v3"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// natsExample holds the rights that operators give to a NATS user.
const natsExample = "../../deploy/kubernetes/examples/nats-permissions.conf"

// natsRights returns the rights of the example for operators, as a NATS server reads them.
func natsRights(t *testing.T) *server.Permissions {
	t.Helper()
	example, err := os.ReadFile(natsExample)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(path, fmt.Appendf(nil, "authorization { users = [ { user: connector, password: x, %s } ] }",
		example), 0o600); err != nil {
		t.Fatal(err)
	}
	options, err := server.ProcessConfigFile(path)
	if err != nil {
		t.Fatalf("a NATS server does not take the example: %v", err)
	}
	return options.Users[0].Permissions
}

// nackStream is the stream that the example for NACK creates, with one replica, because a single server has no more.
func nackStream(t *testing.T) jetstream.StreamConfig {
	t.Helper()
	file, err := os.Open("../../deploy/kubernetes/examples/nack.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var object struct {
		Kind string
		Spec struct {
			Name               string
			Subjects           []string
			AllowAtomicPublish bool          `yaml:"allowAtomicPublish"`
			AllowMsgTTL        bool          `yaml:"allowMsgTtl"`
			AllowDirect        bool          `yaml:"allowDirect"`
			DenyDelete         bool          `yaml:"denyDelete"`
			DuplicateWindow    time.Duration `yaml:"duplicateWindow"`
			Storage, Retention string
			Discard            string
			Replicas           int
		}
	}
	if err := yaml.NewDecoder(file).Decode(&object); err != nil {
		t.Fatal(err)
	}
	spec := object.Spec
	if object.Kind != "Stream" || spec.Storage != "file" || spec.Retention != "limits" || spec.Discard != "new" ||
		spec.Replicas != 3 {
		t.Fatalf("the example's stream is %+v", object)
	}
	return jetstream.StreamConfig{
		Name: spec.Name, Subjects: spec.Subjects, Discard: jetstream.DiscardNew, DenyDelete: spec.DenyDelete,
		Duplicates:         spec.DuplicateWindow,
		AllowAtomicPublish: spec.AllowAtomicPublish, AllowMsgTTL: spec.AllowMsgTTL, AllowDirect: spec.AllowDirect,
	}
}

// natsServer runs a server on which a user without a name has the rights. reload replaces them.
func natsServer(t *testing.T, rights *server.Permissions) (url string, reload func(*server.Permissions)) {
	t.Helper()
	options := server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true,
		NoAuthUser: "connector",
	}
	allow := func(rights *server.Permissions) {
		options.Users = []*server.User{
			{Username: "admin", Password: "admin"},
			{Username: "connector", Password: "x", Permissions: rights},
		}
	}
	allow(rights)
	first := options
	s, err := server.NewServer(&first)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server does not start")
	}
	options.Port = s.Addr().(*net.TCPAddr).Port
	return s.ClientURL(), func(rights *server.Permissions) {
		allow(rights)
		next := options
		if err := s.ReloadOptions(&next); err != nil {
			t.Fatal(err)
		}
	}
}

// addNackStream creates the stream as NACK does.
func addNackStream(t *testing.T, url string) {
	t.Helper()
	conn, err := natsgo.Connect(url, natsgo.UserInfo("admin", "admin"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), nackStream(t)); err != nil {
		t.Fatal(err)
	}
}

// runUntil runs the connector until that many events are in the log, and returns its output.
func runUntil(t *testing.T, path string, events int) string {
	t.Helper()
	r := start(t, "run", "--config", path)
	admin := r.admin()
	until(t, "the events", func() bool {
		body, err := tryGet(admin + "/metrics")
		return err == nil && strings.Contains(body, fmt.Sprintf("twochat_connector_log_sequence{stream=\"support\"} %d\n",
			events)) &&
			strings.Contains(body, "twochat_connector_stream_state{state=\"live\",stream=\"support\"} 1\n")
	})
	wantCode(t, r.end(), cli.ExitFine)
	return r.err.String()
}

// denied is what the log says if a right is missing that nothing waits for.
const denied = "permissions violation"

// With the rights of the example, and no others, everything works on a stream that somebody else created.
func TestNATSRights_Suffice(t *testing.T) {
	t.Parallel()
	fake, api := fakeAPI(t, twochattest.Options{History: 120})
	url, _ := natsServer(t, natsRights(t))
	addNackStream(t, url)
	path := configure(t, api, "jetstream: { url: '"+url+"' }")
	for _, events := range []int{120, 150} { // the second time from the checkpoint
		code, out, _ := finish(t, "check", "--config", path)
		wantCode(t, code, cli.ExitFine)
		clitest.WantText(t, "check", out, "may publish, read back and purge")
		if said := runUntil(t, path, events); strings.Contains(said, denied) {
			t.Errorf("run says: %s", said)
		}
		tail := start(t, "tail", "--json", "--last", "10", "--config", path)
		until(t, "tail", func() bool { return strings.Count(tail.out.String(), "\n") == 10 || tail.over() })
		wantCode(t, tail.end(), cli.ExitFine)
		clitest.WantText(t, "tail", tail.out.String(), fmt.Sprintf("%020d", events))
		if said := tail.err.String(); said != "" {
			t.Errorf("tail says: %s", said)
		}
		fake.Insert("", 30)
	}
}

// With the right named at the end of the example, the connector also creates the stream. Without it, check says so
// beforehand, and run says so when it tries.
func TestNATSRights_Create(t *testing.T) {
	t.Parallel()
	example, err := os.ReadFile(natsExample)
	if err != nil {
		t.Fatal(err)
	}
	_, beneath, _ := strings.Cut(string(example), "With `create: true`")
	more := regexp.MustCompile(`"([^"]+)"`).FindStringSubmatch(beneath)
	if more == nil {
		t.Fatal("the example has no right for create: true")
	}
	_, api := fakeAPI(t, twochattest.Options{History: 120})
	url, reload := natsServer(t, natsRights(t))
	path := configure(t, api, "jetstream: { url: '"+url+"', create: true }")
	code, out, _ := finish(t, "check", "--config", path)
	wantCode(t, code, cli.ExitWrong)
	clitest.WantText(t, "check", out, "NATS user: it may not create the stream", "allow it to publish to "+more[1])
	code, _, errOut := finish(t, "run", "--config", path)
	wantCode(t, code, cli.ExitFailed)
	clitest.WantText(t, "run", errOut, "it has no right to publish to "+more[1], "allow it to publish to "+more[1])
	all := without(natsRights(t), "")
	all.Publish.Allow = append(all.Publish.Allow, more[1])
	reload(all)
	code, out, _ = finish(t, "check", "--config", path)
	wantCode(t, code, cli.ExitFine)
	clitest.WantText(t, "check", out, "`run` creates it")
	if said := runUntil(t, path, 120); strings.Contains(said, denied) {
		t.Errorf("run says: %s", said)
	}
}

// without copies rights, except for one.
func without(rights *server.Permissions, right string) *server.Permissions {
	fewer := *rights
	fewer.Publish = &server.SubjectPermission{Allow: slices.DeleteFunc(slices.Clone(rights.Publish.Allow),
		func(other string) bool { return other == right })}
	return &fewer
}

// Without any one of the rights something fails, and the message says how to fix it.
func TestNATSRights_EachNeeded(t *testing.T) {
	t.Parallel()
	all := natsRights(t)
	_, api := fakeAPI(t, twochattest.Options{History: 120})
	url, reload := natsServer(t, all)
	addNackStream(t, url)
	path := configure(t, api, "jetstream: { url: '"+url+"' }")
	runUntil(t, path, 120)
	const (
		publishing = "allow it to publish to whatsapp.>, whatsapp-checkpoint.*, whatsapp-quarantine.* and $JS.API.>, and to subscribe to _INBOX.>"
		refused    = "refused  NATS user: it may not use JetStream as the connector needs to: it has no right to publish to "
	)
	// What check says; "" stands for rights that no command waits for, which only the log of run reports.
	table := map[string]struct{ cause, hint string }{
		"whatsapp.>": {
			"refused  NATS user: it has no right to publish to whatsapp.support.>",
			publishing,
		},
		"whatsapp-checkpoint.*": {
			"refused  NATS user: it has no right to publish to whatsapp-checkpoint.support",
			publishing,
		},
		"whatsapp-quarantine.*": {
			"refused  NATS user: it has no right to publish to whatsapp-quarantine.support",
			publishing,
		},
		"whatsapp-members.*": {
			"warning  NATS user: it has no right to publish to whatsapp-members.*",
			"allow it to publish and to subscribe to whatsapp-members.*",
		},
		"$JS.API.STREAM.INFO.WHATSAPP": {
			refused + "$JS.API.STREAM.INFO.WHATSAPP",
			"allow it to publish to $JS.API.STREAM.INFO.WHATSAPP",
		},
		"$JS.API.STREAM.MSG.GET.WHATSAPP": {
			refused + "$JS.API.STREAM.MSG.GET.WHATSAPP",
			"allow it to publish to $JS.API.STREAM.MSG.GET.WHATSAPP",
		},
		"$JS.API.DIRECT.GET.WHATSAPP": {
			refused + "$JS.API.DIRECT.GET.WHATSAPP",
			"allow it to publish to $JS.API.DIRECT.GET.WHATSAPP",
		},
		"$JS.API.CONSUMER.CREATE.WHATSAPP.>": {
			refused + "$JS.API.CONSUMER.CREATE.WHATSAPP.>",
			"allow it to publish to $JS.API.CONSUMER.CREATE.WHATSAPP.>",
		},
		"$JS.API.CONSUMER.MSG.NEXT.WHATSAPP.>": {
			refused + "$JS.API.CONSUMER.MSG.NEXT.WHATSAPP.>",
			"allow it to publish to $JS.API.CONSUMER.MSG.NEXT.WHATSAPP.>",
		},
		"$JS.API.STREAM.PURGE.WHATSAPP": {
			"warning  NATS user: it cannot remove older checkpoints",
			"allow it to publish to $JS.API.STREAM.PURGE.WHATSAPP",
		},
		"$JS.API.CONSUMER.DELETE.WHATSAPP.>": {"", "grant the right to publish"},
		"$SYS.REQ.SERVER.PING.CONNZ":         {"", "grant the right to publish"},
	}
	for _, right := range all.Publish.Allow {
		t.Run(right, func(t *testing.T) {
			want, ok := table[right]
			if !ok {
				t.Fatal("nobody says what is told without it")
			}
			reload(without(all, right))
			if want.cause == "" {
				clitest.WantText(t, "run", runUntil(t, path, 120), denied, want.hint)
				return
			}
			_, out, _ := finish(t, "check", "--config", path)
			clitest.WantText(t, "check", out, want.cause, want.hint)
		})
	}
	deaf := *all
	deaf.Subscribe = &server.SubjectPermission{Allow: []string{"elsewhere"}}
	reload(&deaf)
	_, out, _ := finish(t, "check", "--config", path)
	clitest.WantText(t, "check", out, "it may not subscribe to its inbox", "allow it to subscribe to _INBOX.>")
}
