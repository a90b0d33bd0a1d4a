package kafka

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/fleet"
)

// barred is a replica that follows what the fleet makes of the group.
type barred struct {
	mu   sync.Mutex
	view fleet.View
	err  error
}

func (r *barred) state() (members int, refusal *connector.Refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.view.Members), refusalOf(r.err)
}

// TestMembers_RightTakenAway takes the right to the group from replicas that take part: each counts on itself alone once
// that has lasted, and says the command; and they find each other once the right is back. It takes twenty seconds.
func TestMembers_RightTakenAway(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it waits for as long as announcements count")
	}
	b := lenientFake(t, 1, kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser("SCRAM-SHA-512", "admin", "right"),
		kfake.User("SCRAM-SHA-512", "connector", "right"))
	admin, err := kgo.NewClient(kgo.SeedBrokers(b.address),
		kgo.SASL(scram.Auth{User: "admin", Pass: "right"}.AsSha512Mechanism()))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	grantGroup(t, admin)
	config := Config{Topic: newTopic(), SASL: SASL{
		Mechanism: "scram-sha-512", Username: "connector", PasswordFile: writeFile(t, "password", "right"),
	}}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	both := []*barred{{}, {}}
	for i, r := range both {
		sink := openSink(t, b, config, connector.Encoding{})
		running.Go(func() {
			defer sink.Close()
			set := func(do func()) { r.mu.Lock(); defer r.mu.Unlock(); do() }
			_ = fleet.AttendGroup(ctx, sink, []string{"fleet/pod-a:8080.1", "fleet/pod-b:8080.2"}[i],
				func(v fleet.View) { set(func() { r.view = v }) }, func(err error) { set(func() { r.err = err }) })
		})
	}
	want := func(what string, members int, refused bool) {
		t.Helper()
		began := time.Now()
		if !eventually(t, func(context.Context) error {
			for _, r := range both {
				if n, refusal := r.state(); n != members || (refusal != nil) != refused {
					return errNotListed
				}
			}
			return nil
		}, 30*time.Second) {
			t.Fatalf("%s: %+v, %+v", what, both[0].view, both[1].view)
		}
		t.Logf("%s: %v", what, time.Since(began))
	}
	want("they find each other", 2, false)
	revokeGroup(t, admin)
	want("they are refused", 2, true)
	want("each is alone", 1, true)
	if _, refusal := both[0].state(); !strings.Contains(refusal.Hint, "--group twochat-connector.") {
		t.Errorf("the hint is %q", refusal.Hint)
	}
	grantGroup(t, admin)
	want("they find each other again", 2, false)
}

// grantGroup lets the connector read the groups of its topics.
func grantGroup(t *testing.T, admin *kgo.Client) {
	t.Helper()
	request, creation := kmsg.NewPtrCreateACLsRequest(), kmsg.NewCreateACLsRequestCreation()
	creation.ResourceType, creation.ResourceName = kmsg.ACLResourceTypeGroup, "twochat-connector."
	creation.ResourcePatternType, creation.Operation = kmsg.ACLResourcePatternTypePrefixed, kmsg.ACLOperationRead
	creation.Principal, creation.Host, creation.PermissionType = "User:connector", "*", kmsg.ACLPermissionTypeAllow
	request.Creations = append(request.Creations, creation)
	if answer, err := request.RequestWith(t.Context(), admin); err != nil || answer.Results[0].ErrorCode != 0 {
		t.Fatalf("%+v, %v", answer, err)
	}
}

// revokeGroup takes all rights to groups away.
func revokeGroup(t *testing.T, admin *kgo.Client) {
	t.Helper()
	request, filter := kmsg.NewPtrDeleteACLsRequest(), kmsg.NewDeleteACLsRequestFilter()
	filter.ResourceType, filter.ResourcePatternType = kmsg.ACLResourceTypeGroup, kmsg.ACLResourcePatternTypeAny
	filter.Operation, filter.PermissionType = kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
	request.Filters = append(request.Filters, filter)
	answer, err := request.RequestWith(t.Context(), admin)
	if err != nil || len(answer.Results) != 1 || len(answer.Results[0].MatchingACLs) == 0 {
		t.Fatalf("%+v, %v", answer, err)
	}
}
