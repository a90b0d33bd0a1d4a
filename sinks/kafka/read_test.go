package kafka

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/twochat-connector/twochat-connector/connector"
)

// TestReadCommitted interleaves transactions of several producers, some aborted, some not finished, with plain records
// between them, and compares what the sink reads with what franz-go reads.
func TestReadCommitted(t *testing.T) {
	everyBroker(t, func(t *testing.T, b *broker) {
		for seed := range uint64(4) {
			t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
				config := Config{Topic: newTopic()}
				createTopics(t, b, config)
				writeMixed(t, b, config.Topic, rand.New(rand.NewPCG(1, seed)))
				compareReads(t, b, config)
			})
		}
	})
}

func writeMixed(t *testing.T, b *broker, topic string, random *rand.Rand) {
	producers := make([]*kgo.Client, 4)
	open := make([]bool, len(producers))
	for i := range producers {
		options := []kgo.Opt{
			kgo.SeedBrokers(b.address), kgo.RecordPartitioner(kgo.ManualPartitioner()),
			kgo.ProducerLinger(0),
		}
		if i > 0 {
			options = append(options, kgo.TransactionalID(fmt.Sprint(topic, i)))
		}
		client, err := kgo.NewClient(options...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		producers[i] = client
	}
	for step := range 120 {
		i := random.IntN(len(producers))
		switch {
		case i > 0 && open[i] && random.IntN(4) == 0:
			if err := producers[i].EndTransaction(t.Context(), kgo.TransactionEndTry(random.IntN(2) == 0)); err != nil {
				t.Fatal(err)
			}
			open[i] = false
			continue
		case i > 0 && !open[i]:
			if err := producers[i].BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			open[i] = true
		}
		records := make([]*kgo.Record, 1+random.IntN(5))
		for j := range records {
			records[j] = &kgo.Record{
				Topic: topic, Partition: int32(random.IntN(2)), Key: []byte(fmt.Sprint(i)),
				Value: fmt.Appendf(nil, "%d of %d by %d", j, step, i),
			}
		}
		if err := producers[i].ProduceSync(t.Context(), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for i := 1; i < len(producers)-1; i++ { // the last one may stay open
		if open[i] {
			if err := producers[i].EndTransaction(t.Context(), kgo.TransactionEndTry(i%2 == 0)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if last := len(producers) - 1; open[last] && random.IntN(2) == 0 {
		if err := producers[last].EndTransaction(t.Context(), kgo.TryAbort); err != nil {
			t.Fatal(err)
		}
	}
}

func compareReads(t *testing.T, b *broker, config Config) {
	t.Helper()
	want := make(map[int32][]string)
	client, err := kgo.NewClient(kgo.SeedBrokers(b.address))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	stable := resting(t, client, config.Topic)
	for p, records := range readTo(t, b, config.Topic, stable) {
		for _, r := range records {
			want[p] = append(want[p], fmt.Sprint(r.Offset, " ", string(r.Key), " ", string(r.Value)))
		}
	}
	s := openSink(t, b, config, connector.Encoding{})
	defer s.Close()
	total := 0
	for p := range int32(2) {
		for _, from := range []int64{0, stable[p] / 3, stable[p] / 2} { // a read may begin within a transaction
			var got []string
			reached, err := s.client.read(t.Context(), topicPartition{config.Topic, p}, from, stable[p], 5*time.Second,
				func(r *protocol.Record) error {
					key, err := protocol.ReadAll(r.Key)
					if err != nil {
						return err
					}
					value, err := protocol.ReadAll(r.Value)
					got = append(got, fmt.Sprint(r.Offset, " ", string(key), " ", string(value)))
					return err
				})
			if err != nil || reached != stable[p] {
				t.Fatalf("reached %d of %d: %v", reached, stable[p], err)
			}
			list := slices.DeleteFunc(slices.Clone(want[p]), func(text string) bool {
				var offset int64
				fmt.Sscan(text, &offset)
				return offset < from
			})
			if !slices.Equal(got, list) {
				t.Fatalf("partition %d from %d: %d records, franz-go has %d:\n%v\n%v", p, from, len(got), len(list), got, list)
			}
			total += len(got)
		}
	}
	if total == 0 {
		t.Fatal("nothing was committed")
	}
}

// TestReadCommitted_cut reads a partition that does not fit into one answer. At its beginning a record was written that
// was aborted after all others: it is left out even if the answer with the record does not contain its marker.
func TestReadCommitted_cut(t *testing.T) {
	everyBroker(t, func(t *testing.T, b *broker) {
		config := Config{Topic: newTopic()}
		createTopics(t, b, config)
		writer, err := kgo.NewClient(kgo.SeedBrokers(b.address), kgo.RecordPartitioner(kgo.ManualPartitioner()),
			kgo.TransactionalID(config.Topic))
		if err != nil {
			t.Fatal(err)
		}
		defer writer.Close()
		if err := writer.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		put := func(client *kgo.Client, key string, value []byte) {
			t.Helper()
			if err := client.ProduceSync(t.Context(), &kgo.Record{
				Topic: config.Topic, Key: []byte(key),
				Value: value,
			}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		put(writer, "taken back", nil)
		plain, err := kgo.NewClient(kgo.SeedBrokers(b.address), kgo.RecordPartitioner(kgo.ManualPartitioner()),
			kgo.ProducerBatchCompression(kgo.NoCompression()))
		if err != nil {
			t.Fatal(err)
		}
		defer plain.Close()
		const size = 512 << 10
		const others = 2*fetchBytes/size + 1
		for range others {
			put(plain, "other", make([]byte, size))
		}
		if err := writer.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
			t.Fatal(err)
		}
		stable := resting(t, plain, config.Topic)
		s := openSink(t, b, config, connector.Encoding{})
		defer s.Close()
		read := 0
		_, err = s.client.read(t.Context(), topicPartition{config.Topic, 0}, 0, stable[0], 5*time.Second,
			func(r *protocol.Record) error {
				key, err := protocol.ReadAll(r.Key)
				if string(key) != "other" {
					t.Errorf("offset %d: %q was read", r.Offset, key)
				}
				read++
				return err
			})
		if err != nil || read != others {
			t.Errorf("%d records of %d were read: %v", read, others, err)
		}
	})
}
