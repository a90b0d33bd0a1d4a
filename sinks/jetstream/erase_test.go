package jetstream

import (
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// What cannot be deleted is refused before it is recorded as erased.
func TestErase_Refused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		deny bool // of the stream
		user *server.User
		want string
	}{
		"deny_delete": {deny: true, want: "deny_delete"},
		"a right": {user: &server.User{
			Username: "narrow", Password: "pass",
			Permissions: &server.Permissions{Publish: &server.SubjectPermission{
				Allow: []string{">"}, Deny: []string{"$JS.API.STREAM.MSG.DELETE.>"},
			}},
		}, want: "$JS.API.STREAM.MSG.DELETE." + DefaultStream},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, func(o *server.Options) {
				if c.user != nil {
					o.Users, o.NoAuthUser = []*server.User{c.user}, c.user.Username
				}
			})
			settings := config(s.url())
			conn, err := natsgo.Connect(settings.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			js, err := jetstream.New(conn)
			if err != nil {
				t.Fatal(err)
			}
			_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{
				Name: DefaultStream, Subjects: subjects(DefaultSubject), DenyDelete: c.deny, AllowAtomicPublish: true,
				AllowMsgTTL: true, Discard: jetstream.DiscardNew,
			})
			if err != nil {
				t.Fatal(err)
			}
			sink := openSink(t, settings, connector.ModeStructured)
			claim := sinktest.Claim("a", "one")
			log := openLog(t, sink, claim)
			commit(t, log, acquire(t, log).Checkpoint, sinktest.Events(claim.Stream, 1, 4))
			everything := func([]byte) bool { return true }
			_, err = sink.Erase(t.Context(), claim, connector.Choice{Event: everything, Reject: everything})
			var refusal *connector.Refusal
			if !errors.As(err, &refusal) || !strings.Contains(refusal.Error(), c.want) {
				t.Errorf("got %v, want a refusal of %s", err, c.want)
			}
			if erased, err := sink.Erased(t.Context(), "a"); err != nil || len(erased) > 0 {
				t.Errorf("%d are recorded as erased (%v)", len(erased), err)
			}
		})
	}
}
