package quota

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// steadyClient is an account that always gives the same answer.
type steadyClient struct{ info connector.AccountInfo }

func (c steadyClient) Info(context.Context) (connector.AccountInfo, error) { return c.info, nil }
func (steadyClient) Ready() error                                          { return nil }

// An account that is adjusted follows the new limits at once, and forgets nothing that it has read.
func TestAccount_Adjust(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := AccountConfig{
			Client: steadyClient{connector.AccountInfo{Usage: 600, MaxUsage: 100_000, RequestsPerMinute: 60}}, Streams: 60,
			MinInterval: time.Second, SweepEvery: time.Hour, MonthlyCredits: 500, StopWhenSpent: true,
			Logger: slog.New(slog.DiscardHandler),
		}
		a := NewAccount(c)
		ctx, stop := context.WithCancel(t.Context())
		a.Begin(ctx)
		watched := make(chan struct{})
		go func() { a.Watch(ctx); close(watched) }()
		synctest.Wait()
		if _, cause := a.Stopped(); cause == nil || a.RequestsPerMinute() != 60 {
			t.Fatalf("a spent budget: %v at %d a minute", cause, a.RequestsPerMinute())
		}
		c.RequestsPerMinute, c.MonthlyCredits, c.Streams, c.SweepEvery = 30, 90_000, 2, 2*time.Hour
		a.Adjust(c)
		if _, cause := a.Stopped(); cause != nil || a.RequestsPerMinute() != 30 || !a.Take() {
			t.Errorf("a raised budget: %v at %d a minute", cause, a.RequestsPerMinute())
		}
		if got := a.SweepEvery(); got < 2*time.Hour {
			t.Errorf("sweeps every %s", got)
		}
		if s := a.Budget.Status(time.Now()); s.Used != 601 || s.Budget != 90_000 {
			t.Errorf("the budget is %+v", s)
		}
		before := a.Status().Asked
		time.Sleep(2 * time.Hour)
		if asked := a.Status().Asked; !asked.After(before) {
			t.Error("the account is not read again, as if the budget were spent")
		}
		c.RequestsPerMinute = 0
		a.Adjust(c)
		if got := a.RequestsPerMinute(); got != 60 {
			t.Errorf("%d a minute, want what the account names", got)
		}
		stop()
		<-watched
	})
}

// A process that shares the account with others keeps to its part of the rate, also after the account was read again.
func TestAccount_SetPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAccount(AccountConfig{
			Client: steadyClient{connector.AccountInfo{Usage: 6, MaxUsage: 100_000, RequestsPerMinute: 60}}, Streams: 3,
			MinInterval: time.Second, MonthlyCredits: 1e9, Logger: slog.New(slog.DiscardHandler),
		})
		a.SetPart(0.25)
		a.Begin(t.Context())
		pace := a.Pace(time.Millisecond)
		begin := time.Now()
		for range 6 {
			if err := a.Limiter.Wait(t.Context(), Live); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begin); took < 20*time.Second || took > 22*time.Second {
			t.Errorf("6 requests at a quarter of 60 a minute took %s, want five gaps of 4s", took)
		}
		if want := 3 * time.Second; pace != want {
			t.Errorf("three streams are read every %s at 60 a minute, want %s whoever reads them", pace, want)
		}
	})
}
