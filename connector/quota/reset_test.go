package quota_test

import (
	"strings"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector/quota"
)

func TestBudget_LearnsTheReset(t *testing.T) {
	a := newAccount(0, 4, 10*time.Second)
	reset := budgetBegins.Add(12*day + 5*time.Hour)
	a.resets = []time.Time{reset, reset.AddDate(0, 1, 0), reset.AddDate(0, 2, 0)}
	a.used = 150_000
	a.live(12 * day)
	if s := a.budget.Status(a.now); s.ResetLearned || !s.Reset.Equal(budgetBegins.Add(31*day)) {
		t.Errorf("before the first reset: %+v", s)
	}
	slow := a.budget.Pace(a.now, a.wanted)
	a.live(8 * time.Hour)
	s := a.budget.Status(a.now)
	if next := reset.AddDate(0, 1, 0); !s.ResetLearned || s.Reset.Before(next) || s.Reset.After(next.Add(time.Hour)) {
		t.Errorf("expected the reset on %v: %+v", next, s)
	}
	if fast := a.budget.Pace(a.now, a.wanted); fast >= slow {
		t.Errorf("the pace stays at %v, was %v", fast, slow)
	}
	// The whole next month is known, so nearly all of it is used, and not more.
	a.live(a.resets[0].Sub(a.now) - 10*time.Minute)
	expectWithin(t, "used in a known month", a.used, 225_000, 250_000)
	a.live(day)
	if s := a.budget.Status(a.now); s.State != quota.BudgetLasts || s.Used > 20_000 {
		t.Errorf("after the second reset: %+v", s)
	}
	if strings.Count(a.log.String(), "new month of the account began") != 2 {
		t.Errorf("expected two new months in the log:\n%s", a.log.String())
	}
}

func TestBudget_RecoversAtTheReset(t *testing.T) {
	a := newAccount(0, 1, 10*time.Second)
	a.used, a.resets = 260_000, []time.Time{budgetBegins.Add(3*day + time.Hour)}
	a.live(3 * day)
	s := a.budget.Status(a.now)
	if got := a.budget.Pace(a.now, a.wanted); got < 100*time.Second || got > 120*time.Second ||
		s.State != quota.BudgetSpent || s.Left != 0 || s.Reserve != 0 {
		t.Errorf("spent: interval %v, %+v", got, s)
	}
	if got := a.budget.Pace(a.now, time.Minute); got != 10*time.Minute {
		t.Errorf("a wanted minute is %v, expected ten times as long", got)
	}
	if !strings.HasPrefix(s.Text, "used up: 26") || !strings.Contains(s.Text, "at the latest") {
		t.Errorf("text %q", s.Text)
	}
	a.live(4 * time.Hour)
	if got := a.budget.Pace(a.now, a.wanted); got > 15*time.Second {
		t.Errorf("after the reset the interval is %v", got)
	}
	if a.warnings() != 1 || !strings.Contains(a.log.String(), "lasts again") {
		t.Errorf("expected one warning and its end:\n%s", a.log.String())
	}
}

func TestBudget_ResetThatDoesNotCome(t *testing.T) {
	a := newAccount(0, 1, time.Minute)
	a.resets = []time.Time{budgetBegins.Add(2 * day)}
	a.live(3 * day)
	next := budgetBegins.Add(2*day).AddDate(0, 1, 0)
	for _, test := range []struct {
		after   time.Duration
		learned bool
	}{{-time.Hour, true}, {3 * day, true}, {5 * day, false}, {70 * day, false}} {
		now := next.Add(test.after)
		s := a.budget.Status(now)
		if s.ResetLearned != test.learned {
			t.Errorf("%v after the day: %+v", test.after, s)
		}
		if !test.learned && (s.Reset.Before(now) || s.Reset.After(now.Add(31*day))) {
			t.Errorf("%v after the day the next is assumed on %v", test.after, s.Reset)
		}
	}
}

func TestBudget_ResetAtTheEndOfAMonth(t *testing.T) {
	for from, want := range map[string]string{
		"2026-01-31": "2026-02-28", "2028-01-30": "2028-02-29",
		"2026-12-31": "2027-01-31", "2026-02-28": "2026-03-28", "2026-03-31": "2026-04-30",
	} {
		at, err := time.Parse(time.DateOnly, from)
		if err != nil {
			t.Fatal(err)
		}
		a := newAccount(0, 1, time.Minute)
		for i, used := range []int64{1000, 3, 5} {
			a.budget.Read(quota.AccountUsage{At: at.Add(time.Duration(i-1) * time.Hour), Used: used, Max: 1000})
		}
		if s := a.budget.Status(at); s.Reset.Format(time.DateOnly) != want || !s.ResetLearned {
			t.Errorf("a month after %s is %v, expected %s", from, s.Reset, want)
		}
	}
}

// readings passes usages that are an hour apart.
func readings(a *account, usages ...int64) {
	for _, used := range usages {
		a.now = a.now.Add(time.Hour)
		a.budget.Read(quota.AccountUsage{At: a.now, Used: used, Max: int64(a.max)})
	}
}

func TestBudget_CounterGoesBackwards(t *testing.T) {
	for name, test := range map[string]struct {
		usages  []int64
		used    int64
		learned bool
	}{
		"one stale answer":               {[]int64{100_000, 99_990, 100_010}, 100_010, false},
		"one wrong answer":               {[]int64{100_000, 7, 100_010}, 100_010, false},
		"not confirmed yet":              {[]int64{100_000, 7}, 100_000, false},
		"not readable":                   {[]int64{100_000, 0, 0, 0}, 100_000, false},
		"a correction":                   {[]int64{100_000, 90_000, 90_010}, 90_010, false},
		"a new month":                    {[]int64{100_000, 7, 20}, 20, true},
		"a new month, then a correction": {[]int64{100_000, 7, 2000, 1900, 1910}, 1910, true},
		"a new month behind a glitch":    {[]int64{100_000, 99_000, 100_100, 5, 0, 30}, 30, true},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAccount(0, 1, time.Minute)
			readings(a, test.usages...)
			if s := a.budget.Status(a.now); s.Used != test.used || s.ResetLearned != test.learned {
				t.Errorf("got %+v, expected %d used, learned %v", s, test.used, test.learned)
			}
		})
	}
}

func TestBudget_PlanChanges(t *testing.T) {
	a := newAccount(0, 4, 10*time.Second)
	readings(a, 50_000, 50_100)
	before := a.budget.Pace(a.now, a.wanted)
	a.max = 1_000_000
	readings(a, 50_200)
	larger := a.budget.Pace(a.now, a.wanted)
	a.max = 0 // one answer without the plan's size
	readings(a, 50_300)
	if s := a.budget.Status(a.now); s.Budget != 500_000 {
		t.Errorf("an answer without the plan's size changes the budget to %d", s.Budget)
	}
	a.max = 90_000
	readings(a, 50_400)
	smaller := a.budget.Pace(a.now, a.wanted)
	if larger >= before || smaller <= before {
		t.Errorf("intervals: %v, with a larger plan %v, with a smaller one %v", before, larger, smaller)
	}
	if s := a.budget.Status(a.now); s.State != quota.BudgetSpent || s.Budget != 45_000 {
		t.Errorf("a plan that is too small: %+v", s)
	}
}
