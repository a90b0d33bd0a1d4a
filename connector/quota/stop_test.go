package quota_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/quota"
)

// With when_spent: stop the budget's last call is made, and no more.
func TestBudget_Pays(t *testing.T) {
	b := quota.NewBudget(quota.BudgetConfig{
		Monthly: 1000, Streams: 1, Interval: time.Second, Stop: true, Own: func() int64 { return 0 },
		Logger: slog.New(slog.DiscardHandler),
	})
	if !b.Pays(1_000_000) {
		t.Error("a call is refused before anything is known of the account")
	}
	b.Read(quota.AccountUsage{At: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Used: 990, Max: 5000})
	for own, want := range map[int64]bool{1: true, 10: true, 11: false} {
		if got := b.Pays(own); got != want {
			t.Errorf("call %d of the 10 that are left: %t, want %t", own, got, want)
		}
	}
}

// The errors distinguish which calls are used up: those of the configured budget, or all of the account's plan.
func TestBudget_SpentSaysWhat(t *testing.T) {
	for _, test := range []struct {
		used       int64
		plan       bool
		text, hint string
	}{
		{1000, false, "(poll.monthly_credits) is used up", "raise poll.monthly_credits"},
		{4999, false, "(poll.monthly_credits) is used up", "raise poll.monthly_credits"},
		{5000, true, "all 5000 calls of the account's plan are used", "get a larger plan"},
	} {
		b := quota.NewBudget(quota.BudgetConfig{
			Monthly: 1000, Streams: 1, Interval: time.Second, Stop: true, Own: func() int64 { return 0 },
			Logger: slog.New(slog.DiscardHandler),
		})
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		b.Read(quota.AccountUsage{At: at, Used: test.used, Max: 5000})
		_, err := b.Stopped(at)
		if err == nil {
			t.Fatalf("%d calls used, and calls are not stopped", test.used)
		}
		var hinted interface{ Hint() string }
		hint := ""
		var fault *connector.PageError
		if errors.As(err, &hinted) {
			hint = hinted.Hint()
		} else if errors.As(err, &fault) {
			hint = fault.Hint
		}
		if !strings.Contains(err.Error(), test.text) || !strings.Contains(hint, test.hint) || fault != nil != test.plan {
			t.Errorf("%d calls used: %v; %s", test.used, err, hint)
		}
		if s := b.Status(at); s.PlanSpent != test.plan || s.Plan != 5000 || strings.Contains(s.Text, "plan") != test.plan {
			t.Errorf("%d calls used: %+v", test.used, s)
		}
	}
}
