package reader_test

import (
	"context"
	"fmt"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// A list moves while it is read. Messages added on top are delivered next, and messages that appear below newer ones
// are late.
func ExampleReader() {
	list := &connectortest.List{PageSize: 100, Rows: connectortest.Newest(3, 1)}
	log := &connectortest.Log{}
	ctx := context.Background()
	state, err := log.Acquire(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	r := reader.NewReader(list, log, reader.Reading{
		Retry: connectortest.GiveUp{}, Stream: connector.Stream{Name: "a", SourceKey: "k"}, Rules: reader.DefaultRules(),
		Events: connector.EventSettings{TypePrefix: "com.example"},
	}, state)
	defer r.Close()

	poll := func() {
		for range 10 {
			if _, err := r.Poll(ctx, connectortest.StartBeginning); err != nil {
				fmt.Println(err)
				return
			}
			if r.Rested() {
				break
			}
		}
		fmt.Println(log.Text())
	}
	poll()
	list.Add(connectortest.Message(5))
	list.Under(5, connectortest.Message(4)) // it was added a moment later, below the newest
	poll()
	list.Under(5, connectortest.Message(9))
	poll()
	// Output:
	// m1 m2 m3
	// m1 m2 m3 m4 m5
	// m1 m2 m3 m4 m5 m9*
}
