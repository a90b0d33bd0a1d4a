package quota_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
	"github.com/twochat-connector/twochat-connector/connector/poller"
	"github.com/twochat-connector/twochat-connector/connector/quota"
	"github.com/twochat-connector/twochat-connector/connector/reader"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// Another program can read 2Chat's list as twochat-connector does: with a client, what its calls may cost, and a poller
// for each stream. Here a fake answers for 2Chat, and the log is in memory.
func ExampleAccount() {
	fake := twochattest.New(twochattest.Options{History: 3, RequestsPerMinute: 600})
	client, err := twochat.New(twochat.Config{
		BaseURL: "https://api.p.2chat.io", Key: func() (string, error) { return "an-api-key", nil },
		Transport: fake.Transport(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	logger := slog.New(slog.DiscardHandler)
	account := quota.NewAccount(quota.AccountConfig{
		Client: client, Streams: 1, MinInterval: time.Second, SweepEvery: time.Hour, Logger: logger,
	})

	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	log := &connectortest.Log{Answer: func(_ context.Context, events []connector.Event) (written bool, err error) {
		if len(events) == 3 {
			stop()
		}
		return true, nil
	}}
	stream := connector.Stream{Name: "support", Number: twochattest.DefaultNumber, SourceKey: twochattest.DefaultNumber}
	p := poller.New(poller.Config{
		Pages: account.Pages(client), Log: account.Log(log), Ready: client.Ready,
		Limiter: account.Limiter, Pace: account.Pace, SweepEvery: account.SweepEvery, CallBudget: account,
		Reading: reader.Reading{
			Stream: stream, Rules: reader.DefaultRules(), Events: connector.EventSettings{TypePrefix: "com.example"},
		},
		Start: connector.Start{Beginning: true}, MinInterval: time.Second, MaxInterval: time.Minute,
		Metrics: poller.NewMetrics(prometheus.NewRegistry()), Logger: logger,
	})

	account.Begin(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { account.Watch(ctx) })
	if err := p.Run(ctx); err != nil { // until the context ends
		fmt.Println(err)
	}
	stop()
	watching.Wait()
	fmt.Println(account.RequestsPerMinute(), "requests a minute;", len(log.Events), "events")
	// Output:
	// 600 requests a minute; 3 events
}
