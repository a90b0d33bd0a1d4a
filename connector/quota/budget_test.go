package quota_test

import (
	"bytes"
	"log/slog"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector/quota"
)

const day = 24 * time.Hour

var budgetBegins = time.Date(2026, time.November, 3, 9, 0, 0, 0, time.UTC)

// account is a 2Chat account whose month starts again at resets, with a connector and others that use it.
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
	// the extremes of the pace since clear
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

// live lets time pass: every stream polls at its pace, others make calls, and the account is read every hour.
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

// expectWithin checks that a value is between two others.
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
		used       [2]float64 // after 31 days without a reset
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

// TestBudget_Bounds checks random budgets for what must always be true: nothing is negative, nothing is shorter than
// wanted, polling never stops, and it is never faster for having used more, having less or sharing with more streams.
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
