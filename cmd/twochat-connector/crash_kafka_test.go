//go:build linux

package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// kafkaVariable names a real Kafka for the tests, as in sinks/kafka: a version that .ci/kafka/kafka.sh fetches, or a
// folder with its jars.
const kafkaVariable = "TWOCHAT_CONNECTOR_TEST_KAFKA"

const (
	kafkaScript = "../../.ci/kafka/kafka.sh"
	kafkaTopic  = "whatsapp.messages"
)

// kafkaPlace is a real Apache Kafka: one node, or a cluster in which faults hit one node at a time.
type kafkaPlace struct {
	jars    string
	folders []string
	ports   []int
	victim  int
}

func newKafkaPlace(t *testing.T, jars string) *kafkaPlace { return newKafkaCluster(t, jars, 1) }

func newKafkaCluster(t *testing.T, jars string, nodes int) *kafkaPlace {
	t.Helper()
	p := &kafkaPlace{jars: jars}
	for range nodes {
		// The broker's controller listens on the next port.
		p.folders, p.ports = append(p.folders, t.TempDir()), append(p.ports, sinktest.FreePorts(t, 2))
	}
	if nodes > 1 {
		p.cluster(t)
	}
	version := strings.TrimSpace(p.script(t, "version", jars))
	fmt.Printf("%s: against Apache Kafka %s\n", t.Name(), version)
	t.Cleanup(func() {
		// The folders are about to be removed, so nothing may write to them any more.
		for _, folder := range p.folders {
			p.script(t, "kill", folder)
		}
	})
	return p
}

// cluster makes a cluster of the nodes, with a replica of everything on each node.
func (p *kafkaPlace) cluster(t *testing.T) {
	t.Helper()
	var voters []string
	for i, port := range p.ports {
		voters = append(voters, fmt.Sprintf("%d@127.0.0.1:%d", i+1, port+1))
	}
	for i, folder := range p.folders {
		extra := fmt.Sprintf("node.id=%d\ncontroller.quorum.voters=%s\n", i+1, strings.Join(voters, ",")) +
			"default.replication.factor=3\nmin.insync.replicas=2\noffsets.topic.replication.factor=3\n" +
			"transaction.state.log.replication.factor=3\ntransaction.state.log.min.isr=2\ntransaction.state.log.num.partitions=6\n"
		if err := os.WriteFile(filepath.Join(folder, "extra.properties"), []byte(extra), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func (p *kafkaPlace) script(t *testing.T, args ...string) string {
	t.Helper()
	var out strings.Builder
	command := exec.CommandContext(context.WithoutCancel(t.Context()), kafkaScript, args...) // the clean-up calls it too
	command.Stdout, command.Stderr = &out, os.Stderr
	if err := command.Run(); err != nil {
		t.Errorf("kafka.sh %s: %v", args[0], err)
	}
	return out.String()
}

func (p *kafkaPlace) addresses() []string {
	var addresses []string
	for _, port := range p.ports {
		addresses = append(addresses, fmt.Sprintf("127.0.0.1:%d", port))
	}
	return addresses
}

func (p *kafkaPlace) sink() string {
	brokers, replicas := strings.Join(p.addresses(), "', '"), len(p.ports)
	return fmt.Sprintf("kafka: { brokers: ['%s'], topic: %s, create: true, replicas: %d, transaction_timeout: 10s }",
		brokers, kafkaTopic, replicas)
}

func (p *kafkaPlace) logs() []string {
	var logs []string
	for _, folder := range p.folders {
		logs = append(logs, filepath.Join(folder, "out.log"), filepath.Join(folder, "broker.log"))
	}
	return logs
}

func (p *kafkaPlace) start(t *testing.T) {
	t.Helper()
	var starting sync.WaitGroup // a node of a cluster answers only when most of the nodes run
	for i, folder := range p.folders {
		if _, err := os.Stat(filepath.Join(folder, "pid")); err == nil {
			continue
		}
		starting.Go(func() { p.script(t, "start", p.jars, folder, strconv.Itoa(p.ports[i])) })
	}
	starting.Wait()
	client, err := kgo.NewClient(kgo.SeedBrokers(p.addresses()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if !eventually(t.Context(), time.Minute, func() bool {
		answer, err := kmsg.NewPtrMetadataRequest().RequestWith(t.Context(), client)
		return err == nil && len(answer.Brokers) == len(p.ports)
	}) {
		t.Fatal("Kafka does not answer")
	}
}

// kill and pause hit the nodes in turn.
func (p *kafkaPlace) kill(t *testing.T)   { p.script(t, "kill", p.next()) }
func (p *kafkaPlace) pause(t *testing.T)  { p.script(t, "pause", p.next()) }
func (p *kafkaPlace) resume(t *testing.T) { p.script(t, "resume", p.folders[p.victim]) }

func (p *kafkaPlace) next() string {
	p.victim = (p.victim + 1) % len(p.folders)
	return p.folders[p.victim]
}

// read reads as a consumer of committed records does, with franz-go. In each partition the sequences of a stream have
// to rise, and all events of a chat have to be in one partition. This is what order within a chat means.
func (p *kafkaPlace) read(t *testing.T) map[string][]json.RawMessage {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	records, err := p.committed(ctx)
	if err != nil {
		t.Fatalf("read back: %v", err)
	}
	type placed struct {
		sequence string
		event    json.RawMessage
	}
	byStream := make(map[string][]placed)
	newest := make(map[string]string)    // by partition and stream
	partitions := make(map[string]int32) // by stream and chat
	for _, record := range records {
		var event struct{ Sequence, PartitionKey string }
		name, err := streamOf(record.Value)
		if err == nil {
			err = json.Unmarshal(record.Value, &event)
		}
		if err != nil {
			t.Fatalf("read back: %v", err)
		}
		if string(record.Key) != event.PartitionKey {
			t.Errorf("%s: event %s has another key than its partitionkey", name, event.Sequence)
		}
		chat := name + " " + event.PartitionKey
		if before, ok := partitions[chat]; ok && before != record.Partition {
			t.Errorf("%s: a chat is in partitions %d and %d", name, before, record.Partition)
		}
		partitions[chat] = record.Partition
		line := fmt.Sprintf("%d %s", record.Partition, name)
		if event.Sequence <= newest[line] {
			t.Errorf("%s: event %s stands after %s in partition %d", name, event.Sequence, newest[line], record.Partition)
		}
		newest[line] = event.Sequence
		byStream[name] = append(byStream[name], placed{event.Sequence, record.Value})
	}
	events := make(map[string][]json.RawMessage)
	for name, list := range byStream {
		slices.SortStableFunc(list, func(a, b placed) int { return strings.Compare(a.sequence, b.sequence) })
		for _, one := range list {
			events[name] = append(events[name], one.event)
		}
	}
	return events
}

// committed returns the events topic up to its last stable offsets, each partition in order.
func (p *kafkaPlace) committed(ctx context.Context) ([]*kgo.Record, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(p.addresses()...), kgo.ConsumeTopics(kafkaTopic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.FetchMaxWait(200*time.Millisecond))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ends, err := lastStable(ctx, client)
	if err != nil {
		return nil, err
	}
	var records []*kgo.Record
	for len(ends) > 0 {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("partitions that do not come to their end: %v", ends)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			end, reading := ends[r.Partition]
			if !reading {
				return
			}
			if r.Offset < end && !r.Attrs.IsControl() {
				records = append(records, r)
			}
			// The record right before the end may be an aborted one, which the client leaves out. Then a later marker, of a
			// transaction that was open at the end, shows that the end was passed.
			if r.Offset >= end-1 {
				delete(ends, r.Partition)
			}
		})
	}
	return records, nil
}

// lastStable returns the last stable offset of each partition that holds anything. If there is no topic, there are no
// partitions.
func lastStable(ctx context.Context, client *kgo.Client) (map[int32]int64, error) {
	for {
		ends, err := askLastStable(ctx, client)
		if err == nil || !pause(ctx, 200*time.Millisecond) {
			return ends, err
		}
	}
}

func askLastStable(ctx context.Context, client *kgo.Client) (map[int32]int64, error) {
	meta := kmsg.NewPtrMetadataRequest()
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = kmsg.StringPtr(kafkaTopic)
	meta.Topics = append(meta.Topics, topic)
	found, err := meta.RequestWith(ctx, client)
	if err != nil {
		return nil, err
	}
	switch err := kerr.ErrorForCode(found.Topics[0].ErrorCode); {
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return nil, nil
	case err != nil:
		return nil, err
	}
	request := kmsg.NewPtrListOffsetsRequest()
	request.ReplicaID, request.IsolationLevel = -1, 1
	asked := kmsg.NewListOffsetsRequestTopic()
	asked.Topic = kafkaTopic
	for _, partition := range found.Topics[0].Partitions {
		one := kmsg.NewListOffsetsRequestTopicPartition()
		one.Partition, one.Timestamp = partition.Partition, -1
		asked.Partitions = append(asked.Partitions, one)
	}
	request.Topics = append(request.Topics, asked)
	ends := make(map[int32]int64)
	answered := 0
	for _, shard := range client.RequestSharded(ctx, request) {
		if shard.Err != nil {
			return nil, shard.Err
		}
		for _, answer := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, partition := range answer.Partitions {
				if err := kerr.ErrorForCode(partition.ErrorCode); err != nil {
					return nil, err
				}
				answered++
				if partition.Offset > 0 {
					ends[partition.Partition] = partition.Offset
				}
			}
		}
	}
	if answered != len(found.Topics[0].Partitions) {
		return nil, errors.New("not every partition has a leader")
	}
	return ends, nil
}
