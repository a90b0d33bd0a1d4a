package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
	"github.com/twochat-connector/twochat-connector/sinks/embedded"
	"github.com/twochat-connector/twochat-connector/sinks/jetstream"
)

// Result is what the demo's audit found.
type Result struct {
	Seed    uint64  `json:"seed"`
	Stream  string  `json:"stream"`
	Seconds float64 `json:"seconds"`
	// Settled means that the pipeline came to rest in time.
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

// Wrong reports whether the promise was broken.
func (r Result) Wrong() bool {
	return !r.Settled || r.Lost+r.Doubled+r.OutOfOrder+r.Gaps+r.Changed > 0
}

// auditTimeout limits reading back the stream.
const auditTimeout = time.Minute

// audit reads the events back and compares them with what the fake listed.
func (d *Demo) audit(ctx context.Context) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, auditTimeout)
	defer cancel()
	audit := twochattest.Audit{Compact: d.target.config.File != nil} // one event is one line in a file
	see := audit.SeeCloudEvent
	if d.options.Rows {
		see = func(event []byte) error { return seeRow(&audit, event) }
	}
	if err := d.readBack(ctx, see); err != nil {
		return Result{}, fmt.Errorf("read the events back: %w", err)
	}
	report := audit.Report(d.fake.Truth(""))
	result := Result{
		Seed: d.options.Seed, Stream: d.target.stream,
		Listed: report.Wanted, Events: report.Events, Lost: report.Lost + report.LateMissing,
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

// readBack passes on each event of the demo, in the order of the sink.
func (d *Demo) readBack(ctx context.Context, each func(event []byte) error) error {
	switch sink := d.target.sink.(type) {
	case *embedded.Sink:
		return d.readStream(ctx, sink.URL(), sink.Stream(), each)
	case *jetstream.Sink:
		c := d.target.config.JetStream
		return d.readStream(ctx, c.URL, c.Stream, each)
	}
	return d.target.sink.Follow(ctx, connector.FollowOptions{Stream: d.target.stream, Since: d.began, Once: true}, each)
}

// seeRow gives an audit the event of a row, as an event with the item that the row was made from.
func seeRow(audit *twochattest.Audit, event []byte) error {
	var e struct {
		ID, PartitionKey, Sequence string
		Late                       bool
		Data                       struct{ Item string }
	}
	if err := json.Unmarshal(event, &e); err != nil {
		return fmt.Errorf("read an event: %w", err)
	}
	sequence, err := strconv.ParseUint(e.Sequence, 10, 64)
	if err != nil {
		return fmt.Errorf("read an event's sequence: %w", err)
	}
	audit.See(twochattest.Event{
		ID: e.ID, Sequence: sequence, Late: e.Late, Chat: e.PartitionKey, Data: []byte(e.Data.Item),
	})
	return nil
}
