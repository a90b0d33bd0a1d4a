package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/describegroups"
	"github.com/segmentio/kafka-go/protocol/findcoordinator"
	"github.com/segmentio/kafka-go/protocol/heartbeat"
	"github.com/segmentio/kafka-go/protocol/joingroup"
	"github.com/segmentio/kafka-go/protocol/leavegroup"
	"github.com/segmentio/kafka-go/protocol/syncgroup"
)

// group speaks with the broker that coordinates the group in which the replicas of a topic find each other. It has a
// method for each kind of request. It is safe for concurrent use.
type group struct {
	name    string
	cluster *cluster
	wires   *connPool // its own, because a member is told from others by the client id of its connection

	mu      sync.Mutex
	address string // of the coordinator; empty if it has to be looked up
}

// groupName is the name of a topic's group.
func groupName(t topics) string { return "twochat-connector." + t.events + ".members" }

// newGroup returns the group as it is seen by one client.
func newGroup(config Config, t topics, cluster *cluster, client string) *group {
	return &group{name: groupName(t), cluster: cluster, wires: newConnPool(config, client)}
}

// membership is what a member has after it has joined.
type membership struct {
	name       string // of the member, given by the broker
	generation int32
	all        []joingroup.ResponseMember // all members, for the leader only
}

// join takes part as the named member, or as a new one. It waits until all members have joined or are given up. If the
// error is errNamed, the broker gave a new member its name, and has to be asked again with it.
func (g *group) join(ctx context.Context, name string, pace pace, metadata []byte) (membership, error) {
	answer, err := answerAs[*joingroup.Response](g.ask(ctx, pace.rebalance+tryTime, &joingroup.Request{
		GroupID: g.name, MemberID: name, ProtocolType: rosterType,
		SessionTimeoutMS: int32(pace.session.Milliseconds()), RebalanceTimeoutMS: int32(pace.rebalance.Milliseconds()),
		Protocols: []joingroup.RequestProtocol{{Name: rosterProtocol, Metadata: metadata}},
	}))
	if err != nil {
		return membership{}, fmt.Errorf("join: %w", err)
	}
	joined := membership{name: answer.MemberID, generation: answer.GenerationID}
	if answer.LeaderID == answer.MemberID {
		joined.all = answer.Members
	}
	return joined, wrap("join", g.judged(answer.ErrorCode))
}

// errNamed is MEMBER_ID_REQUIRED.
const errNamed = kafkago.MemberIDRequired

// sync returns what the group's leader has assigned to a member. It waits for the leader, who calls it with what it
// assigns.
func (g *group) sync(
	ctx context.Context, who membership, within time.Duration, assigned []syncgroup.RequestAssignment,
) ([]byte, error) {
	answer, err := answerAs[*syncgroup.Response](g.ask(ctx, within, &syncgroup.Request{
		GroupID: g.name, MemberID: who.name, GenerationID: who.generation, Assignments: assigned,
	}))
	if err != nil {
		return nil, fmt.Errorf("sync: %w", err)
	}
	return answer.Assignments, wrap("sync", g.judged(answer.ErrorCode))
}

// heartbeat tells that a member is alive, and returns an error if the generation is over.
func (g *group) heartbeat(ctx context.Context, who membership) error {
	answer, err := answerAs[*heartbeat.Response](g.ask(ctx, beatTime, &heartbeat.Request{
		GroupID: g.name, MemberID: who.name, GenerationID: who.generation,
	}))
	if err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	return wrap("heartbeat", g.judged(answer.ErrorCode))
}

// leave removes a member at once.
func (g *group) leave(ctx context.Context, name string) error {
	answer, err := answerAs[*leavegroup.Response](g.ask(ctx, tryTime, &leavegroup.Request{
		GroupID: g.name, Members: []leavegroup.RequestMember{{MemberID: name}},
	}))
	if err != nil {
		return fmt.Errorf("leave: %w", err)
	}
	return wrap("leave", g.judged(answer.ErrorCode))
}

// members lists who takes part at the moment, whether or not they have joined the next generation.
func (g *group) members(ctx context.Context) ([]describegroups.ResponseGroupMember, error) {
	answer, err := answerAs[*describegroups.Response](
		g.ask(ctx, tryTime, &describegroups.Request{Groups: []string{g.name}}))
	if err == nil && len(answer.Groups) != 1 {
		err = errNoAnswer
	}
	if err != nil {
		return nil, fmt.Errorf("describe: %w", err)
	}
	return answer.Groups[0].Members, wrap("describe", g.judged(answer.Groups[0].ErrorCode))
}

// ask sends a request to the coordinator. If that fails, the next request looks it up again.
func (g *group) ask(ctx context.Context, within time.Duration, request protocol.Message) (protocol.Message, error) {
	address, err := g.coordinator(ctx)
	if err != nil {
		return nil, err
	}
	answer, err := g.wires.ask(ctx, address, within, request)
	if err != nil {
		g.forget()
		g.cluster.doubt()
	}
	return answer, err
}

// judged turns the code of an answer into an error, and forgets a coordinator that is none any more.
func (g *group) judged(code int16) error {
	err := codeError(code)
	if errors.Is(err, kafkago.NotCoordinatorForGroup) || errors.Is(err, kafkago.GroupCoordinatorNotAvailable) {
		g.forget()
	}
	return err
}

func (g *group) coordinator(ctx context.Context) (string, error) {
	g.mu.Lock()
	address := g.address
	g.mu.Unlock()
	if address != "" {
		return address, nil
	}
	found, err := answerAs[*findcoordinator.Response](g.cluster.any(ctx,
		&findcoordinator.Request{Key: g.name, KeyType: int8(kafkago.CoordinatorKeyTypeConsumer)}))
	switch {
	case err != nil:
		return "", &unaskedError{"find the coordinator", err}
	case found.ErrorCode != 0:
		return "", fmt.Errorf("find the coordinator: %w", kafkago.Error(found.ErrorCode))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.address = net.JoinHostPort(found.Host, strconv.Itoa(int(found.Port)))
	return g.address, nil
}

// forget makes the next request look up the coordinator again.
func (g *group) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.address = ""
}
