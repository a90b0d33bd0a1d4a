package twochattest_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/reader"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// memory is a log that never fails.
type memory struct {
	claim      connector.Claim
	checkpoint connector.Checkpoint
	events     []connector.Event
	rejects    []connector.Reject
}

func (m *memory) Acquire(context.Context) (connector.State, error) {
	m.checkpoint = m.claim.TakeOver(m.checkpoint, time.Now())
	state := connector.State{Checkpoint: m.checkpoint}
	for _, e := range m.events[max(0, len(m.events)-m.claim.Window):] {
		state.Seen = append(state.Seen, connector.Seen{Key: e.Key, Sequence: e.Sequence, Late: e.Late})
	}
	return state, nil
}

func (m *memory) Commit(_ context.Context, events []connector.Event, rejects []connector.Reject,
	next connector.Checkpoint,
) error {
	for _, e := range events {
		e.Data = slices.Clone(e.Data)
		m.events = append(m.events, e)
	}
	m.rejects = append(m.rejects, rejects...)
	m.checkpoint = next
	return nil
}

func (m *memory) Peek(context.Context) (connector.Checkpoint, bool, error) {
	return m.checkpoint, true, nil
}

func (m *memory) Limits() connector.Limits { return connector.Limits{Messages: 999, Bytes: 8 << 20} }
func (m *memory) Close() error             { return nil }

// atOnce tries again without waiting.
type atOnce struct{}

func (atOnce) Page(context.Context, *connector.PageError) error { return nil }
func (atOnce) Commit(_ context.Context, cause error) error      { return cause }

// TestFake_AgainstTheReader runs the connector's own client and reader in a hostile world, with a new reader now and
// then, and expects a clean audit. It shows that they fit together: most faults of the fake or the audit make it fail.
func TestFake_AgainstTheReader(t *testing.T) {
	extra := []twochattest.Chance{
		{Fault: twochattest.Fault{Kind: twochattest.KindRepeat}, Rate: .01},
		{Fault: twochattest.Fault{Kind: twochattest.KindShortPage}, Rate: .01},
	}
	for seed := range uint64(2) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			clock := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			fake := twochattest.New(twochattest.Options{
				Seed: seed, History: 700, Drift: twochattest.HostileDrift(), Faults: append(twochattest.PassingFaults(.1),
					extra...),
				Now: func() time.Time { return clock }, Validators: seed%2 == 0,
			})
			client, err := twochat.New(twochat.Config{
				BaseURL: "http://127.0.0.1", Key: func() (string, error) { return "any", nil },
				Transport: fake.Transport(), Privacy: twochat.Privacy{Identifiers: "hashed"},
			})
			if err != nil {
				t.Fatal(err)
			}
			stream := connector.Stream{Name: "shop", Number: twochattest.DefaultNumber, SourceKey: "x"}
			log := &memory{claim: connector.Claim{Stream: stream, Window: 20_000}}
			start := connector.Start{Beginning: seed%2 == 0}
			session := reader.NewSession(client, log, reader.Reading{
				Retry: atOnce{}, Stream: stream,
				Rules: reader.DefaultRules(),
			}, start)
			poll := func(i int) reader.Outcome {
				clock = clock.Add(10 * time.Second)
				if i%40 == 0 {
					if err := session.Acquire(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				step := session.Poll
				if i%30 == 29 {
					step = func(ctx context.Context) (reader.Outcome, error) { return session.Sweep(ctx, clock) }
				}
				out, _ := step(t.Context()) // a list that moved too far is read again by the next poll
				return out
			}
			for i := range 150 {
				poll(i)
			}
			fake.Quiet()
			for i, rested := 1, 0; rested < 3; i++ {
				if i == 2000 {
					t.Fatal("the reader does not come to rest")
				}
				if poll(i).Rested {
					rested++
				}
			}
			var audit twochattest.Audit
			if !start.Beginning {
				audit.From = fake.FirstRead("", "")
			}
			for _, e := range log.events {
				audit.See(twochattest.Event{ID: e.ID, Sequence: e.Sequence, Late: e.Late, Chat: e.Chat, Data: e.Data})
			}
			report := audit.Report(fake.Truth(""))
			if !report.Clean() || report.Events < 1000 {
				t.Error(report)
			}
			if len(log.rejects) == 0 || len(log.rejects) > report.Poison {
				t.Errorf("%d rejects for %d poison items", len(log.rejects), report.Poison)
			}
		})
	}
}
