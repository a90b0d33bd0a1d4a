package quota_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector/quota"
)

// With when_spent: stop the budget's last call is made, and not one more.
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
