package quota_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/twochat-connector/twochat-connector/connector/quota"
)

func TestBudget_Forecast(t *testing.T) {
	a := newAccount(0, 1, time.Minute) // 250,000, from 3 November on
	a.now = a.now.Add(-time.Hour)
	for i := range int64(49) { // 500 an hour
		readings(a, 10_000+500*i)
	}
	// 216,000 left at 12,000 a day last eighteen more days.
	s := a.budget.Status(a.now)
	if want := budgetBegins.Add(2*day + 18*day); s.State != quota.BudgetShort || !s.UsedUp.Equal(want) {
		t.Errorf("expected used up at %v: %+v", want, s)
	}
	if want := "34000 calls of 250000 used, at this rate used up on the 23rd of November; the account's next month begins on the 4th of December at the latest"; s.Text != want {
		t.Errorf("got  %q\nwant %q", s.Text, want)
	}
	if a.warnings() != 1 {
		t.Errorf("expected one warning:\n%s", a.log.String())
	}
	for range 30 { // the day becomes quiet
		readings(a, 34_000)
	}
	if s := a.budget.Status(a.now); s.State != quota.BudgetLasts || !s.UsedUp.IsZero() {
		t.Errorf("when it is quiet: %+v", s)
	}
	if a.warnings() != 1 || !strings.Contains(a.log.String(), "lasts again") {
		t.Errorf("expected one warning and its end:\n%s", a.log.String())
	}
	if got, want := a.budget.UsedUp(a.now, 21_600), a.now.Add(10*day); got.Sub(want).Abs() > time.Second {
		t.Errorf("at 21,600 a day used up at %v, expected %v", got, want)
	}
	if got := a.budget.UsedUp(a.now, 2000); !got.IsZero() {
		t.Errorf("at 2,000 a day used up at %v", got)
	}
}

func TestBudget_ForecastDoesNotFlicker(t *testing.T) {
	a := newAccount(0, 1, time.Minute)
	used := int64(1000)
	for hour := range 60 * 24 { // within a hundredth of what just lasts, alternately above and below
		left := 250_000 - used
		remaining := budgetBegins.Add(time.Hour + 31*day).Sub(a.now).Hours()
		if remaining < 72 {
			break
		}
		rate := float64(left) / remaining
		used += int64(rate * []float64{1.01, .99}[hour/24%2])
		readings(a, used)
	}
	if a.warnings() > 1 {
		t.Errorf("%d warnings:\n%s", a.warnings(), a.log.String())
	}
}

func TestBudget_Metrics(t *testing.T) {
	a := newAccount(0, 1, time.Minute)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(a.budget)
	gather := func() map[string]float64 {
		t.Helper()
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		problems, err := promlint.NewWithMetricFamilies(families).Lint()
		if err != nil || len(problems) > 0 {
			t.Errorf("lint: %v %v", problems, err)
		}
		values := make(map[string]float64)
		for _, f := range families {
			values[strings.TrimPrefix(f.GetName(), "twochat_connector_credits_")] = f.GetMetric()[0].GetGauge().GetValue()
		}
		return values
	}
	if got := gather(); len(got) != 2 || got["forecast_timestamp_seconds"] != 0 || got["reset_timestamp_seconds"] != 0 {
		t.Errorf("before the account was read: %v", got)
	}
	readings(a, 199_500, 199_600, 199_700, 199_800, 199_900, 200_000, 200_100)
	got := gather()
	if got["used"] != 200_100 || got["left"] != 49_900 || got["budget"] != 250_000 {
		t.Errorf("got %v", got)
	}
	// 100 an hour are 2,400 a day, so the rest is used up in 499 hours.
	if want := float64(a.now.Add(499 * time.Hour).Unix()); got["forecast_timestamp_seconds"] != want {
		t.Errorf("forecast %v, expected %v", got["forecast_timestamp_seconds"], want)
	}
	if want := float64(budgetBegins.Add(time.Hour + 31*day).Unix()); got["reset_timestamp_seconds"] != want {
		t.Errorf("reset %v, expected %v", got["reset_timestamp_seconds"], want)
	}
	readings(a, 300_000)
	if got := gather(); got["left"] != 0 || got["forecast_timestamp_seconds"] != float64(a.now.Unix()) {
		t.Errorf("spent: %v", got)
	}
}
