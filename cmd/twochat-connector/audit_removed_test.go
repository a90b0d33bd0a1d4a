package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// anyKafka is the real Kafka that TWOCHAT_CONNECTOR_TEST_KAFKA names, else one in this process.
func anyKafka(t *testing.T) string {
	t.Helper()
	jars := os.Getenv("TWOCHAT_CONNECTOR_TEST_KAFKA")
	if jars == "" {
		_, address := fakeKafka(t)
		return address
	}
	const script = "../../.ci/kafka/kafka.sh"
	folder, port := t.TempDir(), sinktest.FreePorts(t, 2)
	if out, err := exec.CommandContext(t.Context(), script, "start", jars, folder,
		strconv.Itoa(port)).CombinedOutput(); err != nil {
		t.Fatalf("kafka.sh start: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command(script, "kill", folder).CombinedOutput(); err != nil {
			t.Errorf("kafka.sh kill: %v: %s", err, out)
		}
	})
	fmt.Printf("%s: against the real Kafka %s\n", t.Name(), filepath.Base(jars))
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// deleteRecords removes the older half of some partitions of the topic, and returns how many records that were.
func deleteRecords(t *testing.T, broker string, partitions ...int32) (removed int64) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ask := kmsg.NewPtrListOffsetsRequest()
	ask.ReplicaID, ask.IsolationLevel = -1, 1
	topic := kmsg.NewListOffsetsRequestTopic()
	topic.Topic = "whatsapp.messages"
	for _, p := range partitions {
		of := kmsg.NewListOffsetsRequestTopicPartition()
		of.Partition, of.Timestamp = p, -1
		topic.Partitions = append(topic.Partitions, of)
	}
	ask.Topics = append(ask.Topics, topic)
	ends, err := ask.RequestWith(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	order := kmsg.NewPtrDeleteRecordsRequest()
	order.TimeoutMillis = 10_000
	from := kmsg.NewDeleteRecordsRequestTopic()
	from.Topic = topic.Topic
	for _, p := range ends.Topics[0].Partitions {
		one := kmsg.NewDeleteRecordsRequestTopicPartition()
		one.Partition, one.Offset = p.Partition, p.Offset/2
		from.Partitions = append(from.Partitions, one)
		removed += one.Offset
	}
	order.Topics = append(order.Topics, from)
	done, err := order.RequestWith(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range done.Topics[0].Partitions {
		if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
			t.Fatalf("delete records of partition %d: %v", p.Partition, err)
		}
	}
	return removed
}

// What kafka-delete-records or retention took from some partitions is no longer in the log. It is not missing, and a
// repair does not deliver it again; what is missing besides is repaired.
func TestAudit_KafkaPartitionsThatLostTheirOldest(t *testing.T) {
	t.Parallel()
	fake, url := fakeAPI(t, twochattest.Options{Seed: 71, History: 600})
	broker := anyKafka(t)
	path := configure(t, url, "kafka: { brokers: ['"+broker+"'], create: true, replicas: 1 }")
	replace(t, path, "poll: {", "poll: { sweep: { every: 0 },")
	deliver(t, path, 600)
	if removed := deleteRecords(t, broker, 0, 1, 3); removed < 50 {
		t.Fatalf("only %d records are removed", removed)
	}
	s := auditReport(t, cli.ExitWrong, "--config", path, "--all").Streams[0]
	lost := 600 - s.Events
	if lost < 50 || s.Counts.Missing != 0 || s.Counts.Erased != uint64(lost) || s.Findings.Noted.Expired != lost {
		t.Fatalf("of %d that were removed: %+v, %d no longer in the log", lost, s.Counts, s.Findings.Noted.Expired)
	}
	late := fake.Late("", 10)
	r := auditReport(t, cli.ExitWrong, "--config", path, "--all", "--repair").Streams[0]
	if r.Repair == nil || r.Repair.Restored != 1 || len(r.Findings.Missing) != 1 || r.Findings.Missing[0].UUID != late ||
		r.Findings.Noted.Expired != lost {
		t.Errorf("the repair is %+v, missing are %v, no longer in the log %d", r.Repair, r.Findings.Missing,
			r.Findings.Noted.Expired)
	}
	_, out, _ := finish(t, "audit", "--config", path, "--all", "--repair")
	clitest.WantText(t, "audit", out, fmt.Sprintf("%d no longer in the log", lost), "kafka-delete-records")
	if strings.Contains(out, "missing  ") || strings.Contains(out, "Repair") {
		t.Errorf("what was removed is missing: %s", out)
	}
}
