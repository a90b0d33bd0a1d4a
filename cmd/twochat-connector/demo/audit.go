package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// Result is what the demo's audit found.
type Result struct {
	Seed    uint64  `json:"seed"`
	Seconds float64 `json:"seconds"`
	// Settled says that the pipeline came to rest in time.
	Settled bool `json:"settled"`

	Listed     int `json:"listed"`
	Events     int `json:"events"`
	Lost       int `json:"lost"`
	Doubled    int `json:"doubled"`
	OutOfOrder int `json:"out_of_order"`
	Gaps       int `json:"gaps"`
	Changed    int `json:"changed"`

	Late        int      `json:"late"`
	Deleted     int      `json:"deleted_before_seen"`
	Quarantined int      `json:"quarantined"`
	Requests    int      `json:"requests"`
	Faults      int      `json:"faults_survived"`
	Examples    []string `json:"examples,omitempty"`
}

// Wrong says whether the promise was broken.
func (r Result) Wrong() bool {
	return !r.Settled || r.Lost+r.Doubled+r.OutOfOrder+r.Gaps+r.Changed > 0
}

// auditTimeout bounds the reading back of the stream.
const auditTimeout = time.Minute

// audit reads the stream back as any NATS client can, with nothing of the connector's in between, and holds it against
// what the fake listed.
func (d *Demo) audit(ctx context.Context) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, auditTimeout)
	defer cancel()
	var audit twochattest.Audit
	if err := readBack(ctx, d.server.URL(), d.server.Stream(), audit.SeeCloudEvent); err != nil {
		return Result{}, fmt.Errorf("read the stream back: %w", err)
	}
	report := audit.Report(d.fake.Truth(""))
	result := Result{
		Seed: d.seed, Listed: report.Wanted, Events: report.Events, Lost: report.Lost + report.LateMissing,
		Doubled:    report.Doubled,
		OutOfOrder: report.OutOfOrder + report.UnmarkedLate, Gaps: report.Gaps, Changed: report.Invented, Late: report.Late,
		Deleted:     report.Gone,
		Quarantined: report.Poison, Requests: d.fake.Requests(), Examples: report.Examples,
	}
	for _, count := range d.fake.Faults() {
		result.Faults += count
	}
	return result, nil
}

// readBack gives each message of the stream in its order, as an ordered consumer of NATS sees it.
func readBack(ctx context.Context, url, name string, each func(event []byte) error) error {
	conn, err := natsgo.Connect(url)
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	stream, err := js.Stream(ctx, name)
	if err != nil || stream.CachedInfo().State.Msgs == 0 {
		return err
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return err
	}
	defer messages.Stop()
	for {
		message, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		// Checkpoints and rejects have subjects of their own.
		if strings.HasPrefix(message.Subject(), demoSubject) {
			if err := each(message.Data()); err != nil {
				return err
			}
		}
		if meta, err := message.Metadata(); err != nil || meta.NumPending == 0 {
			return err
		}
	}
}

// demoSubject begins the subjects of events.
const demoSubject = "whatsapp."
