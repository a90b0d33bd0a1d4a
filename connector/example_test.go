package connector_test

import (
	"context"
	"fmt"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// memory is a log in memory: what any sink has to do, without a broker. It serves one stream and one goroutine.
type memory struct {
	claim      connector.Claim
	events     []connector.Event
	checkpoint connector.Checkpoint
	owned      bool
}

// Acquire takes the stream over: the new epoch fences any earlier owner, and the window tells what is in the log.
func (m *memory) Acquire(context.Context) (connector.State, error) {
	m.checkpoint, m.owned = m.claim.TakeOver(m.checkpoint, time.Now()), true
	state := connector.State{Checkpoint: m.checkpoint}
	for _, e := range m.events {
		state.Seen = append(state.Seen, connector.Seen{Key: e.Key, Sequence: e.Sequence, Late: e.Late})
	}
	return state, nil
}

// Commit writes all of the events and the checkpoint, or nothing.
func (m *memory) Commit(_ context.Context, events []connector.Event, _ []connector.Reject,
	next connector.Checkpoint,
) error {
	if !m.owned || next.Epoch != m.checkpoint.Epoch {
		return connector.ErrFenced
	}
	m.events, m.checkpoint = append(m.events, events...), next
	return nil
}

func (m *memory) Peek(context.Context) (connector.Checkpoint, bool, error) {
	return m.checkpoint, m.checkpoint.Epoch > 0, nil
}

func (m *memory) Limits() connector.Limits { return connector.Limits{Messages: 100, Bytes: 1 << 20} }

func (m *memory) Close() error { m.owned = false; return nil }

// twoMessages is a list of two messages, newest first, on one page.
type twoMessages struct{}

func (twoMessages) Page(_ context.Context, _ connector.Stream, number int, _ connector.Fingerprint) (connector.Page,
	error,
) {
	page := connector.Page{Number: number, Received: time.Now()}
	if number > 0 {
		return page, nil
	}
	for _, uuid := range []string{"second", "first"} {
		page.Messages = append(page.Messages, connector.Message{
			UUID: uuid, Key: connector.MessageKey(uuid), SentBy: "user", Chat: "chat",
			Data: fmt.Appendf(nil, `{"uuid":%q}`, uuid),
		})
	}
	return page, nil
}

// Your own sink is a connector.Log. Test it with sinks/sinktest, and read a list into it with a reader.Session.
func ExampleLog() {
	stream := connector.Stream{Name: "support", SourceKey: "a list"}
	log := &memory{claim: connector.Claim{Stream: stream, Instance: "here", Privacy: "clear"}}
	session := reader.NewSession(twoMessages{}, log, reader.Reading{
		Stream: stream, Rules: reader.DefaultRules(), Events: connector.EventSettings{TypePrefix: "com.example"},
	}, connector.Start{Beginning: true})
	defer session.Close()

	// Each poll is one step. The list is at rest when everything listed is in the log and nothing is missing below it.
	for range 10 {
		out, err := session.Poll(context.Background())
		if err != nil {
			fmt.Println(err)
			return
		}
		if out.Rested {
			break
		}
	}
	for _, e := range log.events {
		fmt.Println(e.Sequence, e.ID)
	}
	fmt.Println("certified:", log.checkpoint.Certified)
	// Output:
	// 1 first
	// 2 second
	// certified: 2
}
