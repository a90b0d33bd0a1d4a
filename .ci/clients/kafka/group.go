package main

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ready waits until the broker accepts consumer groups. A new broker creates their topic only when the first group
// comes, and KafkaJS does not wait long enough for that.
func (w *world) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		request := kmsg.NewPtrFindCoordinatorRequest()
		request.CoordinatorKeys = []string{"group"}
		answer, err := request.RequestWith(ctx, w.client)
		if err == nil {
			err = kerr.ErrorForCode(answer.Coordinators[0].ErrorCode)
		}
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until the broker takes groups: %w", err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// lag returns how far a group's committed offsets are behind a topic's end. Like other tools it counts the markers of
// transactions too.
func (r *reader) lag(ctx context.Context, group, topic string) (int64, error) {
	request := kmsg.NewPtrOffsetFetchRequest()
	asked := kmsg.NewOffsetFetchRequestGroup()
	asked.Group = group
	ask := kmsg.NewOffsetFetchRequestGroupTopic()
	ask.Topic = topic
	for partition := range r.found.ends[topic] {
		ask.Partitions = append(ask.Partitions, partition)
	}
	asked.Topics = append(asked.Topics, ask)
	request.Groups = append(request.Groups, asked)
	var lag int64
	for _, shard := range r.world.client.RequestSharded(ctx, request) {
		if shard.Err != nil {
			return 0, fmt.Errorf("ask what %s has committed: %w", group, shard.Err)
		}
		for _, g := range shard.Resp.(*kmsg.OffsetFetchResponse).Groups {
			for _, t := range g.Topics {
				for _, p := range t.Partitions {
					lag += r.found.ends[topic][p.Partition] - max(0, p.Offset)
				}
			}
		}
	}
	return lag, nil
}
