package kafka

import (
	"context"
	"errors"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/twochat-connector/twochat-connector/connector"
)

// groupTime limits how long a check waits for the coordinator of the group.
const groupTime = 5 * time.Second

// group checks the right to the group in which replicas find each other. It sends the heartbeat of a member that does
// not exist: the broker answers that, after it has checked the right, and changes nothing.
func (i *inspection) group(ctx context.Context) {
	s := i.sink
	thing := "group " + groupName(s.topics)
	ctx, cancel := context.WithTimeout(ctx, groupTime)
	defer cancel()
	g := &group{name: groupName(s.topics), cluster: s.cluster, wires: s.cluster.wires}
	waits := connector.NewBackoff(50*time.Millisecond, time.Second)
	err := g.heartbeat(ctx, membership{name: "check"})
	for isRetriable(err) && connector.Sleep(ctx, waits.Next()) == nil {
		err = g.heartbeat(ctx, membership{name: "check"})
	}
	const without = "; without it, replicas cannot share the streams, and each one pays for all of them"
	switch {
	case err == nil || isUnknownMember(err):
	case errors.Is(err, kafkago.GroupAuthorizationFailed):
		i.warn(thing, "the right to take part in it is missing ("+errorText(kafkago.GroupAuthorizationFailed)+")"+without,
			s.hints.groupRight())
	default:
		i.warn(thing, "it does not work: "+err.Error()+without, "try again; if that does not help, see whether topic "+
			"__consumer_offsets exists and has leaders: "+s.hints.describeCommand("__consumer_offsets"))
	}
}
