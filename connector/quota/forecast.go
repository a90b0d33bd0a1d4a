package quota

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// BudgetStatus is the status of a budget and its forecast. Unknown times are zero.
type BudgetStatus struct {
	State BudgetState `json:"state"`
	// Text describes the status in a sentence.
	Text string `json:"text"`
	// Asked is when the account was read.
	Asked time.Time `json:"asked,omitzero"`
	// Used, Left and Budget count calls in the account's month; Reserve is the part of Left that is kept back.
	Used    int64 `json:"used"`
	Left    int64 `json:"left"`
	Budget  int64 `json:"budget"`
	Reserve int64 `json:"reserve"`
	// UsedUp is when the budget is used up at the rate of the last day, or was found to be.
	UsedUp time.Time `json:"used_up,omitzero"`
	// Reset is when the account's month starts again: learned from a drop of its usage, or the latest that it can be.
	Reset        time.Time `json:"reset,omitzero"`
	ResetLearned bool      `json:"reset_learned"`
	// Stops is true if no more calls are made once the budget is used up, and Stopped if that is the case now.
	Stops   bool `json:"stops,omitempty"`
	Stopped bool `json:"stopped,omitempty"`
	// Plan is how many calls the account's plan has a month. PlanSpent is true if all of them are used.
	Plan      int64 `json:"plan,omitempty"`
	PlanSpent bool  `json:"plan_spent,omitempty"`
}

// Status returns the current status.
func (b *Budget) Status(now time.Time) BudgetStatus {
	own := b.config.Own()
	b.mu.Lock()
	defer b.mu.Unlock()
	stopped := b.stopped(now, own)
	s := BudgetStatus{
		State: b.state, Asked: b.account.asked, Budget: b.account.total(), UsedUp: b.usedUp, Stops: b.config.Stop,
		Stopped: stopped, Plan: b.account.max, PlanSpent: b.account.planSpent(own),
	}
	if b.account.known() {
		s.Used, s.Left, s.Reserve = b.account.used(own), b.account.left(own), min(b.account.left(own), b.account.reserve())
		s.Reset, s.ResetLearned = b.month.reset(now), b.month.observed && b.month.reset(now).Equal(monthAfter(b.month.start))
	}
	s.Text = s.words()
	return s
}

func (a *accountUse) reserve() int64 { return int64(float64(a.total()) * reserveShare) }

// UsedUp returns when the budget would be used up at that many calls a day from now on, by all integrations together;
// zero if it lasts until the account's next month, or if nothing is known.
func (b *Budget) UsedUp(now time.Time, callsADay float64) time.Time {
	own := b.config.Own()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.account.known() {
		return time.Time{}
	}
	return b.exhausted(now, float64(b.account.left(own)), callsADay/lastDay.Seconds(), 0)
}

// exhausted is when that many calls are used up at a rate per second, if that is before the end of the month plus the
// margin.
func (b *Budget) exhausted(now time.Time, left, rate float64, margin time.Duration) time.Time {
	within := b.month.timeLeft(now) + margin
	if rate <= 0 || left >= rate*within.Seconds() {
		return time.Time{}
	}
	return now.Add(time.Duration(left / rate * float64(time.Second)))
}

// judge updates the state after a reading, and logs each change once.
func (b *Budget) judge(first bool) {
	was := b.state
	b.state, b.usedUp = b.outlook()
	if b.state == was && !(first && b.state == BudgetUnknown) {
		return
	}
	log := b.config.Logger
	switch b.state {
	case BudgetUnknown:
		log.Warn("no monthly budget can be kept: the account does not say how many calls it has and has used", "hint",
			"set poll.monthly_credits, if only the plan's size is missing")
	case BudgetShort:
		log.Warn("the month's budget of calls will not last at this rate; polling becomes slower", "calls_used",
			b.account.last.Used, "budget", b.account.total(),
			"used_up", b.usedUp, "month_ends", b.month.reset(b.account.last.At), "hint",
			"raise poll.monthly_credits or poll.min_interval, or see what else uses the account")
	case BudgetSpent:
		if b.config.Stop && b.account.left(b.account.last.own) <= 0 {
			return // this is logged where calls are stopped
		}
		if b.config.Stop {
			log.Warn("only the reserve of the month's budget of calls is left; polling is ten times slower, and stops with the last call", "calls_used", b.account.last.Used,
				"budget", b.account.total(), "month_ends", b.month.reset(b.account.last.At), "hint",
				"raise poll.monthly_credits, or see what else uses the account")
			return
		}
		log.Warn("the month's budget of calls is used up; polling is ten times slower until the account's next month begins",
			"calls_used", b.account.last.Used,
			"budget", b.account.total(), "month_ends", b.month.reset(b.account.last.At), "hint",
			"raise poll.monthly_credits, or see what else uses the account")
	case BudgetLasts:
		if was != BudgetUnknown {
			log.Info("the month's budget of calls lasts again", "calls_used", b.account.last.Used, "budget", b.account.total())
		}
	}
}

// outlook returns the state after the last reading, and when the budget is used up.
func (b *Budget) outlook() (BudgetState, time.Time) {
	if !b.account.known() {
		return BudgetUnknown, time.Time{}
	}
	at := b.account.last.At
	if b.account.spendable(b.account.last.own) <= 0 {
		if b.state == BudgetSpent {
			at = b.usedUp
		}
		return BudgetSpent, at
	}
	margin := time.Duration(0)
	if b.state == BudgetShort {
		margin = lastDay // hysteresis, for a budget that only just lasts
	}
	rate, _ := b.account.rates(foreseeable)
	if usedUp := b.exhausted(at, float64(b.account.left(b.account.last.own)), rate, margin); !usedUp.IsZero() {
		return BudgetShort, usedUp
	}
	return BudgetLasts, time.Time{}
}

// words describes the state of the budget, for a person.
func (s BudgetStatus) words() string {
	ends := "on " + dayOf(s.Reset)
	if !s.ResetLearned {
		ends = "on " + dayOf(s.Reset) + " at the latest"
	}
	then := ""
	if s.Stops {
		then = ", and then no more calls are made"
	}
	switch s.State {
	case BudgetSpent:
		switch {
		case s.Stopped && s.PlanSpent:
			return fmt.Sprintf("used up with the account's plan: %d of its %d calls; no more are made until the account's next month begins, %s", s.Used, s.Plan, ends)
		case s.Stopped:
			return fmt.Sprintf("used up: %d calls of %d; no more are made until the account's next month begins, %s", s.Used,
				s.Budget, ends)
		case s.Stops:
			return fmt.Sprintf("%d calls of %d used, only the reserve is left; polling is ten times slower, and stops with the last call, until the account's next month begins, %s", s.Used, s.Budget, ends)
		}
		return fmt.Sprintf("used up: %d calls of %d; polling is ten times slower until the account's next month begins, %s",
			s.Used, s.Budget, ends)
	case BudgetShort:
		return fmt.Sprintf("%d calls of %d used, at this rate used up on %s%s; the account's next month begins %s", s.Used,
			s.Budget, dayOf(s.UsedUp), then, ends)
	case BudgetLasts:
		return fmt.Sprintf("%d calls of %d used; the rest lasts until the account's next month begins, %s", s.Used, s.Budget,
			ends)
	}
	if s.Asked.IsZero() {
		return "not known yet: the account was not read"
	}
	return "not known: the account does not say how many calls it has and has used"
}

// dayOf writes a day as in "the 24th of November".
func dayOf(t time.Time) string {
	t = t.UTC()
	suffix := "th"
	if n := t.Day(); n/10 != 1 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return fmt.Sprintf("the %d%s of %s", t.Day(), suffix, t.Month())
}

var _ prometheus.Collector = (*Budget)(nil)

// creditDescs are the budget's metrics.
type creditDescs struct{ used, left, budget, forecast, reset *prometheus.Desc }

func newCreditDescs() creditDescs {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("twochat_connector_credits_"+name, help, nil, nil)
	}
	return creditDescs{
		used:   desc("used", "Calls of the account's month, by all its integrations; absent until the account was read."),
		left:   desc("left", "Calls that the monthly budget has left, its reserve included; absent until it is known."),
		budget: desc("budget", "The monthly budget in calls; absent until it is known."),
		forecast: desc("forecast_timestamp_seconds",
			"When the budget is used up at the rate of the last day, or was found used up; 0 while it lasts until the account's next month begins."),
		reset: desc("reset_timestamp_seconds",
			"When the account's next month begins, or the latest that it can be; 0 until that is known."),
	}
}

// Describe sends the metrics' descriptions.
func (b *Budget) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{b.descs.used, b.descs.left, b.descs.budget, b.descs.forecast, b.descs.reset} {
		to <- d
	}
}

// Collect sends the current values.
func (b *Budget) Collect(to chan<- prometheus.Metric) {
	own := b.config.Own()
	b.mu.Lock()
	defer b.mu.Unlock()
	gauge := func(d *prometheus.Desc, v float64) { to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	if !b.account.last.At.IsZero() {
		gauge(b.descs.used, float64(b.account.used(own)))
	}
	if b.account.total() > 0 {
		gauge(b.descs.budget, float64(b.account.total()))
	}
	var reset time.Time
	if b.account.known() {
		gauge(b.descs.left, float64(b.account.left(own)))
		reset = b.month.reset(b.account.asked)
	}
	gauge(b.descs.forecast, unix(b.usedUp))
	gauge(b.descs.reset, unix(reset))
}

// unix is a time in Unix seconds, for metrics; 0 for none.
func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
