package quota_test

import (
	"testing"
	"time"
)

func TestBudget_Recall(t *testing.T) {
	date := func(month time.Month, day, hour int) time.Time {
		return time.Date(2026, month, day, hour, 0, 0, 0, time.UTC)
	}
	now := date(time.November, 20, 12)
	for name, test := range map[string]struct {
		recalled      []time.Time
		reset, begun  time.Time
		readingBefore bool
	}{
		"nothing":    {nil, now.Add(31 * day), time.Time{}, false},
		"never seen": {[]time.Time{{}}, now.Add(31 * day), time.Time{}, false},
		"this month": {
			[]time.Time{date(time.November, 12, 5)},
			date(time.December, 12, 5),
			date(time.November, 12, 5), false,
		},
		"after the first reading": {
			[]time.Time{date(time.November, 12, 5)},
			date(time.December, 12, 5),
			date(time.November, 12, 5), true,
		},
		"last month, so it began anew since": {
			[]time.Time{date(time.October, 15, 5)},
			date(time.December, 15, 5),
			date(time.November, 15, 5), false,
		},
		"just begun anew": {
			[]time.Time{date(time.October, 20, 12)},
			date(time.December, 20, 12), now,
			false,
		},
		"about to begin anew": {
			[]time.Time{date(time.October, 20, 13)},
			date(time.November, 20, 13),
			date(time.October, 20, 13), false,
		},
		"long ago, on the last day of a month": {
			[]time.Time{date(time.January, 31, 0)},
			date(time.November, 30, 0),
			date(time.October, 31, 0), false,
		},
		"the newest of several": {
			[]time.Time{
				date(time.November, 12, 5), date(time.November, 13, 5),
				{},
				date(time.November, 11, 5), date(time.October, 12, 9),
			},
			date(time.December, 13, 5), date(time.November, 13, 5),
			false,
		},
		"of a clock that is wrong": {[]time.Time{date(time.December, 1, 0)}, now.Add(31 * day), time.Time{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAccount(0, 1, 10*time.Second)
			a.now, a.used = now, 1000
			if test.readingBefore {
				a.read()
			}
			for _, begun := range test.recalled {
				a.budget.Recall(now, begun)
			}
			a.read()
			s := a.budget.Status(now)
			if !s.Reset.Equal(test.reset) || s.ResetLearned == test.begun.IsZero() {
				t.Errorf("reset on %v, learned %t; want %v", s.Reset, s.ResetLearned, test.reset)
			}
			if got := a.budget.MonthBegun(); !got.Equal(test.begun) {
				t.Errorf("the month began on %v, want %v", got, test.begun)
			}
		})
	}
}

// What this process observed itself is not replaced by an older observation of another process.
func TestBudget_RecallsNothingOlder(t *testing.T) {
	a := newAccount(0, 1, 10*time.Second)
	a.used, a.resets = 100_000, []time.Time{budgetBegins.Add(5 * time.Hour)}
	a.live(10 * time.Hour)
	learned := a.budget.MonthBegun()
	if learned.IsZero() {
		t.Fatal("the reset was not learned")
	}
	a.budget.Recall(a.now, budgetBegins.AddDate(0, 0, -3))
	if got := a.budget.MonthBegun(); !got.Equal(learned) {
		t.Errorf("the month began on %v, want %v", got, learned)
	}
}
