package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/twochat-connector/twochat-connector/connector"
)

const (
	// beatTime limits one heartbeat: a broker that hangs is given up well before the session ends.
	beatTime = 3 * time.Second
	// leaveTime limits how long a member takes to leave.
	leaveTime = 2 * time.Second
	// readyTime is how long the coordinator may take to get ready before that counts as a failure: the first group of a
	// cluster waits until the brokers have made their topic for groups.
	readyTime = 10 * time.Second
	// lookTime is how often a new member looks whether the broker has noted it.
	lookTime = 50 * time.Millisecond
)

// pace is how fast the members of a group notice each other's end.
type pace struct {
	beat      time.Duration // between heartbeats
	session   time.Duration // without one, after which a member is removed
	rebalance time.Duration // for which the others wait for a member that has to join again
}

// usualPace removes a member that died after ten seconds. Brokers allow no less than six, unless told to.
func usualPace() pace {
	return pace{beat: time.Second, session: 10 * time.Second, rebalance: 10 * time.Second}
}

// AttendGroup takes part, as this replica, in the group of all replicas that write to the topic, until the context
// ends or the sink is closed. It calls present with the ids of all members, itself included, whenever the broker has
// begun a new generation of the group, and once it can be reached again. While it cannot be reached only failed is
// called, for each attempt. The error is a *connector.Refusal; there is none once the replica has taken part.
//
// The group has nothing to consume. Its leader, whom the broker chooses, only tells all members who they are. It does
// so within the broker's own protocol, so that all members of a generation see the same list.
func (s *Sink) AttendGroup(
	ctx context.Context, id string, present func(ids []string), failed func(error),
) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	m := s.newMember(id)
	defer m.group.wires.close()
	return m.attend(ctx, present, failed)
}

// member is this replica's part in the group.
type member struct {
	id    string // among the replicas
	group *group
	pace  pace
	hints hints

	name    string // among the broker's members; empty if it has none yet
	in      membership
	ids     []string // of all members of the generation
	taken   bool     // part in the generation
	greeted bool     // once it was in a generation, no member is its predecessor's ghost
}

func (s *Sink) newMember(id string) *member {
	return &member{id: id, group: newGroup(s.config, s.topics, s.cluster, id), pace: usualPace(), hints: s.hints}
}

func (m *member) attend(ctx context.Context, present func(ids []string), failed func(error)) error {
	defer m.leave(ctx)
	waits := connector.NewBackoff(100*time.Millisecond, 3*time.Second)
	good, fails := time.Now(), false
	for {
		beating := m.taken
		err := m.step(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			if !beating || fails { // it is told again after a failure, as a sign that all is well
				present(m.ids)
			}
			waits.Reset()
			good, fails = time.Now(), false
			continue
		case m.over(err):
			if beating {
				continue
			}
		case isRetriable(err) && time.Since(good) < readyTime:
		default:
			err = m.hints.asRefusal(fmt.Errorf("group %s: %w", m.group.name, err))
			var refusal *connector.Refusal
			if errors.As(err, &refusal) && !m.greeted { // who took part goes on, in case that it passes all the same
				return refusal
			}
			failed(err)
			fails = true
		}
		if connector.Sleep(ctx, waits.Next()) != nil {
			return nil
		}
	}
}

// step joins the next generation, or sends the next heartbeat of this one.
func (m *member) step(ctx context.Context) (err error) {
	if m.taken {
		if err := connector.Sleep(ctx, m.pace.beat); err != nil {
			return err
		}
		return m.group.heartbeat(ctx, m.in)
	}
	if m.ids, err = m.enter(ctx); err != nil {
		return err
	}
	m.taken, m.greeted = true, true
	return nil
}

// over reports whether err means that the generation has ended, or that the broker has given the member up.
func (m *member) over(err error) bool {
	switch {
	case isUnknownMember(err):
		m.name = ""
	case errors.Is(err, kafkago.RebalanceInProgress), errors.Is(err, kafkago.IllegalGeneration):
	default:
		return false
	}
	m.taken = false
	return true
}

// isUnknownMember reports whether the broker does not know the member, for example because its session is over.
func isUnknownMember(err error) bool {
	return errors.Is(err, kafkago.UnknownMemberId) || errors.Is(err, kafkago.GroupIdNotFound)
}

// enter takes part in the next generation, and returns the ids of its members.
func (m *member) enter(ctx context.Context) ([]string, error) {
	card, err := writeCard(m.id)
	if err != nil {
		return nil, err
	}
	if m.name == "" {
		m.in, err = m.group.join(ctx, "", m.pace, card)
		if err != nil && !errors.Is(err, errNamed) {
			return nil, err
		}
		m.name = m.in.name
	}
	if err := m.join(ctx, card); err != nil {
		return nil, err
	}
	assigned, err := assignRoster(m.in.all)
	if err != nil {
		return nil, err
	}
	roster, err := m.group.sync(ctx, m.in, m.pace.rebalance+tryTime, assigned)
	if err != nil {
		return nil, err
	}
	ids, err := readRoster(roster)
	if err == nil && !slices.Contains(ids, m.id) {
		err = errNotListed
	}
	return ids, err
}

// errNotListed means that the leader forgot this member, or assigned nothing.
var errNotListed = errors.New("the leader's list of members does not contain this one")

// join joins as the member that the broker has named. The others, and so this one, would wait for a member that died,
// as long as the broker does not know. If that was this replica's predecessor, it is removed meanwhile.
func (m *member) join(ctx context.Context, card []byte) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var ghosts sync.WaitGroup
	if !m.greeted {
		ghosts.Go(func() { m.removeGhosts(ctx) })
	}
	m.in, err = m.group.join(ctx, m.name, m.pace, card)
	cancel()
	ghosts.Wait()
	return err
}

// removeGhosts removes the members whose ids have this one's label: they are processes that held the label before this
// one, and have died. It begins once the broker has noted this member. If the group became empty before, the broker
// would wait for others to come (group.initial.rebalance.delay.ms). It is only an attempt: the broker removes a ghost
// later anyway.
func (m *member) removeGhosts(ctx context.Context) {
	own := label(m.id)
	if own == "" {
		return
	}
	for {
		all, err := m.group.members(ctx)
		noted := false
		for _, other := range all {
			noted = noted || other.MemberID == m.name
		}
		if err == nil && noted {
			for _, other := range all {
				if other.MemberID != m.name && label(other.ClientID) == own {
					_ = m.group.leave(ctx, other.MemberID) // an attempt
				}
			}
			return
		}
		if connector.Sleep(ctx, lookTime) != nil {
			return
		}
	}
}

// label is the part of an id that a replica keeps when it starts again, also if it belongs to another fleet then; empty
// if it has none.
func label(id string) string {
	name := id[strings.IndexByte(id, '/')+1:]
	return name[:max(strings.LastIndexByte(name, '.'), 0)]
}

// leave tells the broker that this member ends. If that does not succeed in time, the broker notices it later.
func (m *member) leave(ctx context.Context) {
	if m.name == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTime)
	defer cancel()
	_ = m.group.leave(ctx, m.name) // an attempt
}
