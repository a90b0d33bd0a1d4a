package kafka

import (
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/joingroup"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/twochat-connector/twochat-connector/connector"
)

// fakeGroup is a fake Kafka with the topics of a sink.
func fakeGroup(t *testing.T) (*broker, Config) {
	t.Helper()
	b, config := fake(t, 1), Config{Topic: newTopic()}
	createTopics(t, b, config)
	return b, config
}

// refuseOnce answers the next requests of a kind with an error, each with one of the codes. A code of zero lets it
// pass.
func refuseOnce(cluster *kfake.Cluster, key kmsg.Key, codes ...kafkago.Error) {
	for _, code := range codes {
		cluster.ControlKey(key.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
			if code == 0 {
				cluster.DropControl()
				return nil, nil, false
			}
			switch answer := r.ResponseKind().(type) {
			case *kmsg.JoinGroupResponse:
				answer.ErrorCode = int16(code)
				return answer, nil, true
			case *kmsg.SyncGroupResponse:
				answer.ErrorCode = int16(code)
				return answer, nil, true
			case *kmsg.HeartbeatResponse:
				answer.ErrorCode = int16(code)
				return answer, nil, true
			case *kmsg.FindCoordinatorResponse:
				answer.ErrorCode = int16(code)
				return answer, nil, true
			}
			return nil, nil, false
		})
	}
}

// TestMember_Refused starts without the right to the group, in a group of another program, or with brokers that allow
// no such session.
func TestMember_Refused(t *testing.T) {
	for _, c := range []struct {
		key   kmsg.Key
		code  kafkago.Error
		cause string
		hint  string
	}{
		{
			kmsg.JoinGroup, kafkago.GroupAuthorizationFailed, "the right to take part in it is missing",
			"--operation Read --operation Describe --group twochat-connector. --resource-pattern-type prefixed",
		},
		{kmsg.FindCoordinator, kafkago.GroupAuthorizationFailed, "the right to take part in it is missing", "kafka-acls.sh"},
		{kmsg.JoinGroup, kafkago.InconsistentGroupProtocol, "another program takes part in it", "kafka-consumer-groups.sh"},
		{
			kmsg.JoinGroup, kafkago.InvalidSessionTimeout, "the brokers do not allow a session of 10s",
			"group.min.session.timeout.ms",
		},
	} {
		t.Run(c.key.Name()+" "+c.code.Title(), func(t *testing.T) {
			b, config := fakeGroup(t)
			refuseOnce(b.fake, c.key, c.code)
			a := attend(t, b, config, "fleet/pod-a:8080.1")
			select {
			case <-a.ended:
			case <-time.After(5 * time.Second):
				t.Fatal("it does not end")
			}
			wantRefusal(t, a.err, "group twochat-connector."+config.Topic+".members: "+c.cause)
			if hint := refusalOf(a.err).Hint; !strings.Contains(hint, c.hint) {
				t.Errorf("its hint is %q", hint)
			}
			a.wantNoFailures()
		})
	}
}

// TestMember_RefusedLater refuses a member that takes part: it is told and goes on, as the right may come back, and the
// others count on it.
func TestMember_RefusedLater(t *testing.T) {
	b, config := fakeGroup(t)
	a := attend(t, b, config, "fleet/pod-a:8080.1")
	wantAll(5*time.Second, a)
	refuseOnce(b.fake, kmsg.Heartbeat, kafkago.GroupAuthorizationFailed)
	a.until("refused", func(_ int, failures []error) bool { return len(failures) == 1 && refusalOf(failures[0]) != nil })
	a.until("again", func(lists int, _ []error) bool { return lists == 2 })
}

// TestMember_GivenUp takes part again at once after the broker has ended the generation, or has removed the member, as
// it does with one that was frozen for long.
func TestMember_GivenUp(t *testing.T) {
	for name, strike := range map[string]func(*testing.T, *broker, *attendant){
		"ended": func(_ *testing.T, b *broker, _ *attendant) {
			refuseOnce(b.fake, kmsg.Heartbeat, kafkago.RebalanceInProgress)
		},
		"past": func(_ *testing.T, b *broker, _ *attendant) {
			refuseOnce(b.fake, kmsg.Heartbeat, kafkago.IllegalGeneration)
		},
		"removed": remove,
	} {
		t.Run(name, func(t *testing.T) {
			b, config := fakeGroup(t)
			a := attend(t, b, config, "fleet/pod-a:8080.1")
			wantAll(5*time.Second, a)
			began := time.Now()
			strike(t, b, a)
			a.until("again", func(lists int, _ []error) bool { return lists == 2 })
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("it took %v", took)
			}
			a.wantNoFailures()
		})
	}
}

// remove removes a member from the group, as if its session had ended.
func remove(t *testing.T, b *broker, a *attendant) {
	t.Helper()
	client := admin(t, b)
	listed, asked := kmsg.NewPtrDescribeGroupsRequest(), kmsg.NewPtrLeaveGroupRequest()
	listed.Groups = []string{a.member.group.name}
	found, err := listed.RequestWith(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	asked.Group = a.member.group.name
	for _, m := range found.Groups[0].Members {
		if m.ClientID == a.id {
			asked.Members = append(asked.Members, kmsg.LeaveGroupRequestMember{MemberID: m.MemberID})
		}
	}
	if answer, err := asked.RequestWith(t.Context(), client); err != nil || len(answer.Members) != 1 {
		t.Fatalf("%+v, %v", answer, err)
	}
}

// TestMember_Passing joins in spite of what passes by itself, which nobody has to be told.
func TestMember_Passing(t *testing.T) {
	b, config := fakeGroup(t)
	refuseOnce(b.fake, kmsg.FindCoordinator, kafkago.GroupCoordinatorNotAvailable, kafkago.GroupCoordinatorNotAvailable)
	refuseOnce(b.fake, kmsg.JoinGroup, kafkago.NotCoordinatorForGroup, kafkago.GroupLoadInProgress)
	refuseOnce(b.fake, kmsg.SyncGroup, kafkago.RebalanceInProgress)
	a := attend(t, b, config, "fleet/pod-a:8080.1")
	wantAll(10*time.Second, a)
	a.wantNoFailures()
}

// TestMember_Failures tells what fails, each time, and who takes part once that is over, though it is the same
// generation.
func TestMember_Failures(t *testing.T) {
	b, config := fakeGroup(t)
	a := attend(t, b, config, "fleet/pod-a:8080.1")
	wantAll(5*time.Second, a)
	a.dead.Store(true)
	a.member.group.wires.drop(b.address)
	a.until("dead", func(lists int, failures []error) bool { return lists == 1 && len(failures) >= 3 })
	a.dead.Store(false)
	a.until("again", func(lists int, _ []error) bool { return lists == 2 })
	_, failures := a.seen()
	for _, err := range failures {
		if text := err.Error(); !strings.HasPrefix(text, "group twochat-connector.") || strings.Contains(text, "pod-a") {
			t.Errorf("it says %q", text)
		}
	}
}

// TestMember_Hangs leaves in bounded time though the broker does not answer, also if the sink is closed.
func TestMember_Hangs(t *testing.T) {
	b, config := fakeGroup(t)
	a := attend(t, b, config, "fleet/pod-a:8080.1")
	wantAll(5*time.Second, a)
	a.frozen.Store(true)
	a.member.group.wires.drop(b.address)
	if took := a.leave(); took > leaveTime+time.Second || a.err != nil {
		t.Errorf("it ended after %v: %v", took, a.err)
	}
}

// TestMember_SinkCloses ends with the sink.
func TestMember_SinkCloses(t *testing.T) {
	b, config := fakeGroup(t)
	sink := openSink(t, b, config, connector.Encoding{})
	there, ended := make(chan []string, 1), make(chan error, 1)
	go func() {
		ended <- sink.AttendGroup(t.Context(), "fleet/pod-a:8080.1", func(ids []string) { there <- ids },
			func(err error) { t.Errorf("it fails: %v", err) })
	}()
	select {
	case ids := <-there:
		if !slices.Equal(ids, []string{"fleet/pod-a:8080.1"}) {
			t.Errorf("got %v", ids)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("it does not take part")
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("it does not end")
	}
}

// TestMember_NotListed gets a list without itself, or nothing, from the leader: it does not count on that.
func TestMember_NotListed(t *testing.T) {
	other, err := assignRoster([]joingroup.ResponseMember{{MemberID: "m", Metadata: []byte(`{"id":"other"}`)}})
	if err != nil {
		t.Fatal(err)
	}
	for name, assigned := range map[string][]byte{"others": other[0].Assignment, "nothing": nil} {
		t.Run(name, func(t *testing.T) {
			b, config := fakeGroup(t)
			b.fake.ControlKey(kmsg.SyncGroup.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
				answer := r.ResponseKind().(*kmsg.SyncGroupResponse)
				answer.MemberAssignment = assigned
				return answer, nil, true
			})
			a := attend(t, b, config, "fleet/pod-a:8080.1")
			a.until("told", func(lists int, failures []error) bool { return lists == 0 && len(failures) == 1 })
			wantAll(5*time.Second, a)
		})
	}
}

// TestMember_GhostIsRemovedLate removes the ghost only after the broker has noted the new member: a group that becomes
// empty before would wait for others to come.
func TestMember_GhostIsRemovedLate(t *testing.T) {
	b, config := fakeGroup(t)
	dead := attend(t, b, config, "fleet/pod-a:8080.1")
	wantAll(5*time.Second, dead)
	dead.die()
	order, looks := make(chan kmsg.Key, 100), make(chan kmsg.Key, 100)
	b.fake.ControlKey(kmsg.JoinGroup.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		if r.(*kmsg.JoinGroupRequest).MemberID == "" {
			return nil, nil, false
		}
		b.fake.SleepControl(func() { // so long that the ghost would be removed
			for n := 0; n < 2 && <-looks == kmsg.DescribeGroups; n++ {
			}
		})
		order <- kmsg.JoinGroup
		return nil, nil, false
	})
	b.fake.ControlKey(kmsg.DescribeGroups.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		looks <- kmsg.DescribeGroups
		return nil, nil, false
	})
	b.fake.ControlKey(kmsg.LeaveGroup.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		order <- kmsg.LeaveGroup
		looks <- kmsg.LeaveGroup
		return nil, nil, false
	})
	again := attend(t, b, config, "other/pod-a:8080.2") // it reads other streams since
	wantAll(2*time.Second, again)
	if first := <-order; first != kmsg.JoinGroup {
		t.Errorf("it begins with %s", first.Name())
	}
}

// TestMember_SameLabel lets two replicas that live use the same label: they do not remove each other for ever.
func TestMember_SameLabel(t *testing.T) {
	b, config := fakeGroup(t)
	a := attend(t, b, config, "fleet/localhost:8080.1")
	wantAll(5*time.Second, a)
	two := attend(t, b, config, "fleet/localhost:8080.2")
	wantAll(5*time.Second, a, two)
	three := attend(t, b, config, "fleet/3") // without a label nobody is its ghost
	wantAll(5*time.Second, a, two, three)
	leaves := make(chan struct{}, 1)
	b.fake.ControlKey(kmsg.LeaveGroup.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		select {
		case leaves <- struct{}{}:
		default:
		}
		return nil, nil, false
	})
	four := attend(t, b, config, "fleet/4")
	wantAll(5*time.Second, a, two, three, four)
	select {
	case <-leaves:
		t.Error("somebody was removed")
	default:
	}
}

// TestLabel tells the label of an id.
func TestLabel(t *testing.T) {
	for id, want := range map[string]string{
		"fleet/pod-a:8080.XYZ": "pod-a:8080", "other/pod-a:8080.ABC": "pod-a:8080", "fleet/a.b.c:8080.XYZ": "a.b.c:8080",
		"fleet/XYZ": "", "XYZ": "", "fleet.1/XYZ": "",
	} {
		if got := label(id); got != want {
			t.Errorf("%s has the label %q, want %q", id, got, want)
		}
	}
}

// TestCheck_Group warns if the right to the group is missing, or if the group does not work, and is otherwise silent.
func TestCheck_Group(t *testing.T) {
	b, config := fakeGroup(t)
	s := openSink(t, b, config, connector.Encoding{})
	defer s.Close()
	thing := "group twochat-connector." + config.Topic + ".members: "
	refuseOnce(b.fake, kmsg.Heartbeat, kafkago.GroupAuthorizationFailed)
	wantFinding(t, s, nil, connector.FindingWarning, thing+"the right to take part in it is missing")
	refuseOnce(b.fake, kmsg.FindCoordinator, kafkago.GroupAuthorizationFailed)
	wantFinding(t, s, nil, connector.FindingWarning, thing+"the right to take part in it is missing")
	refuseOnce(b.fake, kmsg.Heartbeat, kafkago.Unknown)
	wantFinding(t, s, nil, connector.FindingWarning, thing+"it does not work")
	refuseOnce(b.fake, kmsg.FindCoordinator, kafkago.GroupCoordinatorNotAvailable)
	found, err := s.Check(within(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if strings.HasPrefix(f.Thing, "group ") {
			t.Errorf("found %+v", f)
		}
	}
}

// TestRoster_Size gives a hundred members their lists: the broker can keep them in one record.
func TestRoster_Size(t *testing.T) {
	var all []joingroup.ResponseMember
	var ids []string
	for range 100 {
		id := "0123456789ab/release-twochat-connector-7d9f8b6c5-" + strings.ToLower(rand.Text()[:5]) + ":8080." + rand.Text()
		written, err := writeCard(id)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
		all = append(all, joingroup.ResponseMember{MemberID: id, Metadata: written})
	}
	slices.Sort(ids)
	assigned, err := assignRoster(all)
	if err != nil || len(assigned) != len(all) {
		t.Fatalf("%d of %d members are assigned something: %v", len(assigned), len(all), err)
	}
	size := 0
	for _, a := range assigned {
		read, err := readRoster(a.Assignment)
		if err != nil || !slices.Equal(read, ids) {
			t.Fatalf("%s reads %v: %v", a.MemberID, read, err)
		}
		size += len(a.MemberID) + len(a.Assignment)
	}
	if size > 500_000 {
		t.Errorf("the lists have %d bytes", size)
	}
}

// TestMember_Moved looks the coordinator up again after a broker has said that it is another one.
func TestMember_Moved(t *testing.T) {
	b, config := fakeGroup(t)
	a := attend(t, b, config, "fleet/pod-a:8080.1")
	wantAll(5*time.Second, a)
	looked := make(chan struct{}, 100)
	b.fake.ControlKey(kmsg.FindCoordinator.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		looked <- struct{}{}
		return nil, nil, false
	})
	refuseOnce(b.fake, kmsg.Heartbeat, kafkago.NotCoordinatorForGroup)
	select {
	case <-looked:
	case <-time.After(5 * time.Second):
		t.Error("it asks the same broker")
	}
	a.wantNoFailures()
}
