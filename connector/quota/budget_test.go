package quota_test

import (
	"bytes"
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/quota"
)

const day = 24 * time.Hour

var budgetBegins = time.Date(2026, time.November, 3, 9, 0, 0, 0, time.UTC)

// account is a 2Chat account whose month starts again at resets, with a connector and others that live on it.
type account struct {
	now       time.Time
	used, max float64
	own       float64
	resets    []time.Time
	others    func(time.Time) float64 // calls a day
	streams   int
	wanted    time.Duration
	log       bytes.Buffer
	budget    *quota.Budget
	// seen of the pace since clear
	longest, shortest time.Duration
}

func newAccount(monthly int64, streams int, wanted time.Duration) *account {
	a := &account{now: budgetBegins, max: 500_000, streams: streams, wanted: wanted, others: func(time.Time) float64 {
		return 0
	}}
	a.budget = quota.NewBudget(quota.BudgetConfig{
		Monthly: monthly, Streams: streams, Interval: wanted, Own: func() int64 { return int64(a.own) },
		Logger: slog.New(slog.NewTextHandler(&a.log, nil)),
	})
	return a
}

func (a *account) read() {
	a.own++
	a.used++
	a.budget.Read(quota.AccountUsage{At: a.now, Used: int64(a.used), Max: int64(a.max)})
}

func (a *account) clear() { a.longest, a.shortest = 0, math.MaxInt64 }

// live lets time pass: every stream polls at its pace, others call, the account is read hourly.
func (a *account) live(d time.Duration) {
	const step = 10 * time.Minute
	for end := a.now.Add(d); a.now.Before(end); {
		if a.now.Sub(budgetBegins)%time.Hour == 0 {
			a.read()
		}
		pace := a.budget.Pace(a.now, a.wanted)
		a.longest, a.shortest = max(a.longest, pace), min(a.shortest, pace)
		calls := float64(a.streams) * step.Seconds() / pace.Seconds()
		a.own += calls
		a.used += calls + a.others(a.now)*step.Hours()/24
		a.now = a.now.Add(step)
		for len(a.resets) > 0 && !a.now.Before(a.resets[0]) {
			a.used, a.resets = 0, a.resets[1:]
		}
	}
}

func (a *account) warnings() int { return strings.Count(a.log.String(), "level=WARN") }

// expectWithin demands a value between two others.
func expectWithin(t *testing.T, what string, got, least, most float64) {
	t.Helper()
	if got < least || got > most {
		t.Errorf("%s: got %.0f, expected %.0f to %.0f", what, got, least, most)
	}
}

func TestBudget_Month(t *testing.T) {
	everyDay := func(calls float64) func(time.Time) float64 { return func(time.Time) float64 { return calls } }
	for name, test := range map[string]struct {
		monthly    int64
		streams    int
		wanted     time.Duration
		others     func(time.Time) float64
		used       [2]float64 // at the end of 31 days without a reset
		longest    [2]float64 // pace in seconds
		state      quota.BudgetState
		noMoreThan int // warnings
		usedBefore float64
	}{
		"more than enough": {
			streams: 1, wanted: time.Minute, used: [2]float64{44_000, 46_000},
			longest: [2]float64{60, 60}, state: quota.BudgetLasts,
		},
		"used to the reserve": {
			streams: 4, wanted: 10 * time.Second, used: [2]float64{225_000, 240_000},
			longest: [2]float64{44, 60}, state: quota.BudgetLasts,
		},
		"used before, spread": {
			streams: 4, wanted: 10 * time.Second, usedBefore: 200_000,
			used: [2]float64{230_000, 240_000}, longest: [2]float64{270, 400}, state: quota.BudgetLasts,
		},
		"others take their part": {
			streams: 4, wanted: 10 * time.Second, others: everyDay(4000),
			used: [2]float64{225_000, 242_000}, longest: [2]float64{80, 700}, state: quota.BudgetLasts, noMoreThan: 2,
		},
		"others take it all": {
			streams: 1, wanted: 30 * time.Second, others: everyDay(15_000),
			used: [2]float64{480_000, 600_000}, longest: [2]float64{300, 300}, state: quota.BudgetSpent, noMoreThan: 2,
		},
		"a word of one's own": {
			monthly: 1_000_000, streams: 4, wanted: 10 * time.Second, used: [2]float64{900_000, 960_000},
			longest: [2]float64{11, 15}, state: quota.BudgetLasts,
		},
		"a small one": {
			monthly: 20_000, streams: 1, wanted: 10 * time.Second, used: [2]float64{18_000, 19_500},
			longest: [2]float64{140, 220}, state: quota.BudgetLasts,
		},
		"a campaign of one day": {streams: 1, wanted: 20 * time.Second, others: func(at time.Time) float64 {
			return map[bool]float64{true: 40_000}[at.YearDay() == budgetBegins.YearDay()+9]
		}, used: [2]float64{150_000, 240_000}, longest: [2]float64{20, 60}, state: quota.BudgetLasts, noMoreThan: 1},
		"far more streams than fit": {
			streams: 1000, wanted: 10 * time.Second, used: [2]float64{200_000, 260_000},
			longest: [2]float64{10_000, 21_600}, state: quota.BudgetLasts,
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAccount(test.monthly, test.streams, test.wanted)
			a.used = test.usedBefore
			if test.others != nil {
				a.others = test.others
			}
			a.clear()
			a.live(31*day - 3*time.Hour)
			expectWithin(t, "longest interval", a.longest.Seconds(), test.longest[0], test.longest[1])
			if s := a.budget.Status(a.now); s.State != test.state {
				t.Errorf("ends %q: %s", s.State, s.Text)
			}
			a.live(3 * time.Hour)
			expectWithin(t, "used", a.used, test.used[0], test.used[1])
			if a.shortest < test.wanted {
				t.Errorf("an interval of %v is shorter than wanted", a.shortest)
			}
			if n := a.warnings(); n > test.noMoreThan {
				t.Errorf("%d warnings:\n%s", n, a.log.String())
			}
		})
	}
}

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
	// The whole next month is known, so nearly all is used, and not more.
	a.live(a.resets[0].Sub(a.now) - 10*time.Minute)
	expectWithin(t, "used in a known month", a.used, 225_000, 250_000)
	a.live(day)
	if s := a.budget.Status(a.now); s.State != quota.BudgetLasts || s.Used > 20_000 {
		t.Errorf("after the second reset: %+v", s)
	}
	if strings.Count(a.log.String(), "month began anew") != 2 {
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

// readings feeds usages an hour apart.
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
	a.max = 0 // one answer without
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

func TestBudget_Unknown(t *testing.T) {
	for name, test := range map[string]struct {
		monthly, used, max int64
		known              bool
	}{
		"nothing read":           {0, -1, 0, false},
		"nothing said":           {0, 0, 0, false},
		"no plan":                {0, 1000, 0, false},
		"no usage":               {0, 0, 1000, false},
		"no plan, but a budget":  {100_000, 1000, 0, true},
		"no usage, but a budget": {100_000, 0, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAccount(test.monthly, 1, time.Second)
			for range 3 {
				if test.used >= 0 {
					a.now = a.now.Add(time.Hour)
					a.budget.Read(quota.AccountUsage{At: a.now, Used: test.used, Max: test.max})
				}
			}
			s := a.budget.Status(a.now)
			if (s.State != quota.BudgetUnknown) != test.known || s.Text == "" {
				t.Errorf("got %+v", s)
			}
			if slowed := a.budget.Pace(a.now, time.Second) > time.Second; slowed != test.known {
				t.Errorf("slowed is %v", slowed)
			}
			if !test.known && a.budget.SweepEvery(a.now, time.Hour) != time.Hour {
				t.Error("sweeps become rarer")
			}
			if want := map[bool]int{true: 1}[!test.known && test.used >= 0]; a.warnings() != want {
				t.Errorf("%d warnings, expected %d:\n%s", a.warnings(), want, a.log.String())
			}
		})
	}
}

func TestBudget_CountsItsOwnCallsBetweenReadings(t *testing.T) {
	a := newAccount(0, 1, time.Second)
	readings(a, 100_000)
	before := a.budget.Pace(a.now, a.wanted)
	a.own += 137_000
	if s := a.budget.Status(a.now); s.Used != 237_000 || s.Left != 13_000 {
		t.Errorf("got %+v", s)
	}
	if after := a.budget.Pace(a.now, a.wanted); before > 20*time.Second || after < 100*time.Second {
		t.Errorf("interval %v, was %v", after, before)
	}
}

func TestBudget_SweepsGiveWayFirst(t *testing.T) {
	wanted := 10 * time.Second
	slowed, stretched := 0, 0
	for used := int64(1); used < 1_000_000; used += 1000 {
		a := newAccount(0, 1, wanted)
		a.max = 2_000_000
		a.budget.Read(quota.AccountUsage{At: a.now, Used: used, Max: int64(a.max)})
		every := a.budget.SweepEvery(a.now, time.Hour)
		if a.budget.Pace(a.now, wanted) > wanted {
			slowed++
			if every < 2*time.Hour {
				t.Fatalf("with %d used polling is slowed, and sweeps go on every %v", used, every)
			}
		} else if every > time.Hour {
			stretched++
		}
	}
	if slowed == 0 || stretched == 0 {
		t.Errorf("%d budgets slow polling, %d sweeps only", slowed, stretched)
	}
	a := newAccount(0, 1, wanted)
	readings(a, 400_000)
	if got := a.budget.SweepEvery(a.now, time.Hour); got != day {
		t.Errorf("spent: sweeps every %v, expected a day", got)
	}
	if got := a.budget.SweepEvery(a.now, 0); got != 0 {
		t.Errorf("no sweeps become one every %v", got)
	}
}

func TestBudget_Forecast(t *testing.T) {
	a := newAccount(0, 1, time.Minute) // 250,000, from the 3rd of November
	a.now = a.now.Add(-time.Hour)
	for i := range int64(49) { // 500 an hour
		readings(a, 10_000+500*i)
	}
	// 216,000 left at 12,000 a day are eighteen days more.
	s := a.budget.Status(a.now)
	if want := budgetBegins.Add(2*day + 18*day); s.State != quota.BudgetShort || !s.UsedUp.Equal(want) {
		t.Errorf("expected used up at %v: %+v", want, s)
	}
	if want := "34000 calls of 250000 used, at this rate used up on the 23rd of November; the account's month begins anew on the 4th of December at the latest"; s.Text != want {
		t.Errorf("got  %q\nwant %q", s.Text, want)
	}
	if a.warnings() != 1 {
		t.Errorf("expected one warning:\n%s", a.log.String())
	}
	for range 30 { // the day gets quiet
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
	for hour := range 60 * 24 { // within a hundredth of what just lasts, above and below
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
	// 100 an hour are 2,400 a day: the rest is used up in 499 hours.
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

// TestBudget_Bounds holds random budgets against what must always be true: nothing negative, nothing shorter than
// wanted, never a stop, and never faster for having used more, having less or sharing with more.
func TestBudget_Bounds(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 7))
		pick := func(values ...int64) int64 { return values[r.IntN(len(values))] }
		monthly, most := pick(0, 0, 1, 100, 50_000, 250_000, 1<<50), pick(0, 1, 10, 5000, 500_000, 1<<52)
		streams, wanted := int(pick(1, 2, 50, 1000)), time.Duration(pick(1, 1000, 10_000, 60_000, 3_600_000))*time.Millisecond
		used, later := pick(0, 1, 10, 4999, 100_000, 499_999, 1<<51), time.Duration(r.Int64N(int64(100*day)))
		pace := func(used, monthly int64, streams int, own int64) time.Duration {
			a := newAccount(monthly, streams, wanted)
			a.budget.Read(quota.AccountUsage{At: a.now, Used: used, Max: most})
			a.own = float64(own)
			now := a.now.Add(later)
			s := a.budget.Status(now)
			if s.Used < 0 || s.Left < 0 || s.Budget < 0 || s.Reserve < 0 || s.Reserve > s.Left {
				t.Fatalf("seed %d: %+v", seed, s)
			}
			if !s.Reset.IsZero() && s.Reset.Before(now) {
				t.Fatalf("seed %d: the next reset is past: %+v", seed, s)
			}
			if sweep := a.budget.SweepEvery(now, time.Hour); sweep < time.Hour || sweep > day {
				t.Fatalf("seed %d: sweeps every %v", seed, sweep)
			}
			got := a.budget.Pace(now, wanted)
			if got < wanted || got > max(6*time.Hour, 10*wanted) {
				t.Fatalf("seed %d: interval %v where %v is wanted", seed, got, wanted)
			}
			return got
		}
		of := pace(used, monthly, streams, 0)
		if more := pace(used+1+r.Int64N(300_000), monthly, streams, 0); used > 0 && more < of {
			t.Fatalf("seed %d: %v with more used, before %v", seed, more, of)
		}
		if more := pace(used, monthly, streams, r.Int64N(300_000)); more < of {
			t.Fatalf("seed %d: %v with more calls of one's own, before %v", seed, more, of)
		}
		if more := pace(used, monthly, streams+3, 0); more < of {
			t.Fatalf("seed %d: %v with more streams, before %v", seed, more, of)
		}
		if monthly > 0 {
			if more := pace(used, monthly*2, streams, 0); more > of {
				t.Fatalf("seed %d: %v with twice the budget, before %v", seed, more, of)
			}
		}
	}
}

// Which calls are spent is told apart: those of the budget that was set, or all that the account's plan has.
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
		if _, open := b.Open(at); open {
			t.Fatalf("%d calls used, and it is open", test.used)
		}
		err := b.Spent()
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
