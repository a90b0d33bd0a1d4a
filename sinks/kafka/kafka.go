package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Sink writes the events of all streams to Kafka. It is safe for concurrent use.
type Sink struct {
	config   Config
	encoding connector.Encoding
	logger   *slog.Logger
	topics   topics
	encoders chan *encoder // those that are idle
	cluster  *cluster
	client   *client

	maker   *topicMaker
	missing *missingTopics
	hints   hints
	watch   *watch

	checkpoints *checkpoints
	scans       *scans
	census      *census

	life       context.Context // ends with Close
	end        context.CancelFunc
	background sync.WaitGroup
}

// Open returns the sink of a valid configuration. It does no network I/O.
func Open(config Config, encoding connector.Encoding, logger *slog.Logger) (*Sink, error) {
	config = config.WithDefaults()
	for _, f := range config.Validate() {
		if f.Level == connector.FindingRefused {
			return nil, &connector.Refusal{Thing: f.Thing, Cause: f.Text, Hint: f.Hint}
		}
	}
	return open(config, encoding, logger, topicsOf(config.Topic)), nil
}

func open(config Config, encoding connector.Encoding, logger *slog.Logger, names topics) *Sink {
	s := &Sink{config: config, encoding: encoding, logger: logger, topics: names, census: newCensus()}
	// There are as many as processors, shared by all streams: more would only take memory.
	s.encoders = make(chan *encoder, runtime.GOMAXPROCS(0))
	compression, _ := compressionOf(config.Compression)
	for range cap(s.encoders) {
		s.encoders <- &encoder{compressor: compressor{compression: compression}}
	}
	s.life, s.end = context.WithCancel(context.Background())
	s.cluster = newCluster(config, names.all())
	s.client = &client{cluster: s.cluster, transactionTimeout: config.TransactionTimeout}
	s.hints = hints{config, names}
	s.maker = &topicMaker{config, names, s.cluster, s.client, s.hints, logger}
	s.missing = newMissingTopics(s.maker)
	s.watch = newWatch(s)
	s.checkpoints = newCheckpoints(s)
	s.scans = &scans{sink: s}
	return s
}

// Log returns a stream's log in the sink.
func (s *Sink) Log(claim connector.Claim) connector.Log {
	return &log{sink: s, claim: claim, id: s.transactionalID(claim.Stream.Name)}
}

func (s *Sink) transactionalID(stream string) string {
	return "twochat-connector." + s.topics.events + "." + stream
}

// Promise returns the delivery guarantee of Kafka.
func (s *Sink) Promise() connector.Promise {
	return connector.Promise{
		Once: true,
		Text: "Each message is in topic " + s.topics.events + " exactly once, in order within its chat, whatever crashes, " +
			"for consumers with isolation.level=read_committed.",
		Exceptions: []string{
			"A consumer that reads uncommitted records (the default of the Java client) also sees records of commits that " +
				"were aborted.",
			fmt.Sprintf("The open transaction of a writer that died holds back readers of committed records in its "+
				"partitions until it is taken over, at most %v.", s.config.TransactionTimeout),
			"The brokers must not lose what they acknowledged. That requires replication of 3 with min.insync.replicas " +
				"of 2, and no unclean leader election, for " + transactionsTopic + " as well.",
			"Partitions that are added later move no chat as long as the pinned count is kept; --accept-partitions moves chats, " +
				"whose order is kept only before and after that moment.",
		},
	}
}

// Create creates the missing topics. It changes no existing one. It does not recreate a topic that is gone if the
// others hold what was written together with it, as a lost log would be taken for a new one.
func (s *Sink) Create(ctx context.Context) error { return s.maker.create(ctx, false) }

// CheckCreate checks that Create would succeed: the brokers validate the request for topics, but create none.
func (s *Sink) CheckCreate(ctx context.Context) error { return s.maker.create(ctx, true) }

// Close ends the sink's connections and goroutines.
func (s *Sink) Close() error {
	s.end()
	s.background.Wait()
	s.cluster.close()
	return nil
}

// partitions is how many partitions a topic has; a missing one is refused.
func (s *Sink) partitions(ctx context.Context, topic string) (int, error) {
	var count int
	err := s.client.again(ctx, func(ctx context.Context) error {
		v, err := s.cluster.known(ctx)
		if err != nil {
			return err
		}
		found, ok := v.topics[topic]
		switch count = len(found.partitions); {
		case !ok:
			return kafkago.UnknownTopicOrPartition
		case found.err == nil && count == 0:
			return kafkago.LeaderNotAvailable
		}
		return found.err
	})
	if isMissing(err) { // it was asked for long enough: a broker that has just started may not know its own topics yet
		return 0, s.missing.refuse(ctx, topic)
	}
	if err == nil {
		s.missing.note(topic, true, time.Now())
	}
	return count, wrap("topic "+topic, err)
}
