package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
)

// report is what the admin server shows of a running instance: recorded facts, nothing asked for on the spot.
type report struct {
	Version  string    `json:"version"`
	Instance string    `json:"instance"`
	Started  time.Time `json:"started"`
	Now      time.Time `json:"now"`
	// Ready is true where NotReady is empty; Healthy where Wedged is.
	Ready    bool     `json:"ready"`
	NotReady []string `json:"not_ready,omitempty"`
	Healthy  bool     `json:"healthy"`
	Wedged   []string `json:"wedged,omitempty"`

	Sink    sinkReport     `json:"sink"`
	Account *accountReport `json:"account,omitempty"`
	// RequestsPerMinute is the rate in force.
	RequestsPerMinute int64 `json:"requests_per_minute"`
	// Budget is the month's budget of calls; SweepEvery how often late messages are searched for under it.
	Budget     connector.BudgetStatus `json:"budget"`
	SweepEvery time.Duration          `json:"sweep_every_ns"`
	Streams    []streamReport         `json:"streams"`
}

type sinkReport struct {
	Kind    string            `json:"kind"`
	Promise connector.Promise `json:"promise"`
	// Checked says that the sink was reached and refused nothing; Waiting why it could not be reached yet, Hint what to
	// do.
	Checked bool   `json:"checked"`
	Waiting string `json:"waiting,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

// accountReport is what the account said when it was asked.
type accountReport struct {
	Asked        time.Time `json:"asked"`
	CallsUsed    int64     `json:"calls_used"`
	CallsAllowed int64     `json:"calls_allowed"`
	Blocked      bool      `json:"blocked,omitempty"`
	OnTrial      bool      `json:"on_trial,omitempty"`
	// NextAttempt is when it is asked again, Hint what to do where it is blocked.
	NextAttempt time.Time `json:"next_attempt,omitzero"`
	Hint        string    `json:"hint,omitempty"`
}

// blockedHint is what a person can do about an account that is blocked.
const blockedHint = "ask 2Chat why, and to lift it; neither the key nor the configuration is the cause"

type streamReport struct {
	connector.Status
	// Trouble says why the stream is not as it should be; empty where it is.
	Trouble string `json:"trouble,omitempty"`
}

// report is the record as it stands. It may be called from any goroutine.
func (l *pipeline) report(now time.Time) report {
	l.mu.Lock()
	sink := sinkReport{
		Kind: l.config.Sink.Chosen()[0], Promise: l.sink.Promise(), Checked: l.sinkOK,
		Waiting: l.waiting.text, Hint: l.waiting.hint,
	}
	account := l.account
	if account != nil {
		copied := *account
		account, copied.NextAttempt = &copied, l.accountDue.UTC()
	}
	l.mu.Unlock()
	r := report{
		Version: versionText(), Instance: l.instance, Started: l.started.UTC(), Now: now.UTC(), Sink: sink, Account: account, RequestsPerMinute: l.rate.Load(),
		Budget: l.budget.Status(now), SweepEvery: l.budget.SweepEvery(now, l.config.Poll.Sweep.Every), Wedged: l.wedged(now),
	}
	if !sink.Checked {
		reason := "the sink is not reached yet"
		if sink.Waiting != "" {
			reason += ": " + sink.Waiting + "; " + sink.Hint
		}
		r.NotReady = append(r.NotReady, reason)
	}
	if account != nil && account.Blocked {
		r.NotReady = append(r.NotReady, "the account is blocked at 2Chat; "+blockedHint+"; asked again in "+span(max(0, account.NextAttempt.Sub(now))))
	}
	if r.Budget.Stopped {
		r.NotReady = append(r.NotReady, "the month's budget of calls is "+r.Budget.Text)
	}
	for _, status := range l.statuses() {
		s := streamReport{Status: status, Trouble: trouble(status, now)}
		pause := l.limiter.Paused().Sub(now)
		limited := s.Trouble != "" && asks(status.State) && pause > 0
		switch next := status.NextAttempt.Sub(now); {
		case limited:
			s.Trouble += "; the rate limit lets no request go for another " + span(pause)
		case s.Trouble != "" && next > 0:
			s.Trouble += "; tried again in " + span(next)
		}
		if s.Trouble != "" && sink.Checked {
			r.NotReady = append(r.NotReady, "stream "+status.Stream+": "+s.Trouble)
		}
		r.Streams = append(r.Streams, s)
	}
	r.Ready, r.Healthy = len(r.NotReady) == 0, len(r.Wedged) == 0
	return r
}

// leastPatience is how old a successful poll may always be.
const leastPatience = 30 * time.Second

// longWait is how long a stream may wait for one thing before that keeps it from being ready.
const longWait = time.Minute

// trouble says which recorded fact keeps a stream from being ready: it has to be owned, by this instance or another, and to have
// been read down to what is delivered within three intervals, or to be catching up, with a call within them. What only a person
// can mend keeps it from that at once, and so does a wait that is long.
func trouble(s connector.Status, now time.Time) string {
	patience := max(3*s.Interval, leastPatience)
	within := func(t time.Time) bool { return !t.IsZero() && now.Sub(t) <= patience }
	var text string
	switch {
	case s.State == connector.StateStopped, s.State == connector.StateRefused, s.State == connector.StateSpent:
		text = stateText(s)
	case s.State == connector.StateStandby:
		return ""
	case !s.Owned:
		text = "its place in the sink is not acquired"
	case stands(s, now):
		text = lastWalk(s, now)
	case within(s.LastSuccessfulPoll), s.State == connector.StateCatchingUp && within(s.LastRequest):
		return ""
	case s.LastSuccessfulPoll.IsZero() && s.State == connector.StateLive && within(s.Since):
		return "" // its first start has settled what is wanted; the first walk is due
	default:
		text = lastWalk(s, now)
	}
	if state := stateText(s); text != state {
		text += " (" + state + ")"
	}
	if s.Cause != "" {
		text += ": " + s.Cause
	}
	if s.Hint != "" {
		text += "; " + s.Hint
	}
	return text
}

// stands says whether a stream that is owned does nothing that time alone would tell of: a person has to act, or it waits for long.
func stands(s connector.Status, now time.Time) bool {
	switch s.State {
	case connector.StateNoSource:
		return s.Fault.Personal() || s.NextAttempt.Sub(s.Since) > longWait
	case connector.StateNoSink, connector.StateCommitting:
		return now.Sub(s.Since) > leastPatience
	}
	return false
}

// lastWalk says when the list was last read.
func lastWalk(s connector.Status, now time.Time) string {
	if s.LastSuccessfulPoll.IsZero() {
		return "no successful poll yet"
	}
	return "the last successful poll was " + span(now.Sub(s.LastSuccessfulPoll)) + " ago"
}

// asks says whether a stream in this state waits for nothing but 2Chat.
func asks(state connector.StreamState) bool {
	return state == connector.StateLive || state == connector.StateCatchingUp || state == connector.StateNoSource
}

// stateText is a stream's state in words.
func stateText(s connector.Status) string {
	switch {
	case s.State == connector.StateCatchingUp && s.BacklogPage > 0:
		return fmt.Sprintf("catching up from page %d", s.BacklogPage)
	case s.State == connector.StateNoSource && faultTexts[s.Fault] != "":
		return faultTexts[s.Fault]
	case s.State == connector.StateSpent && s.Fault == connector.FaultCredits:
		return "the account's plan is spent"
	case s.State == connector.StateSpent:
		return "the month's budget is spent"
	}
	return strings.ReplaceAll(string(s.State), "_", " ")
}

// faultTexts tell apart why pages cannot be read, in as many words as a column takes.
var faultTexts = map[connector.PageFault]string{
	connector.FaultTransient: "no answer from 2Chat", connector.FaultInvalid: "no valid page", connector.FaultRateLimited: "rate limited",
	connector.FaultCredits: "no credits", connector.FaultKey: "wrong key", connector.FaultBlocked: "account blocked",
	connector.FaultNumber:  "number disconnected",
	connector.FaultRequest: "request refused",
}

const (
	// longestCall is far above what any call to the API or the sink takes: each is bounded by itself, the reading back of a
	// large Kafka topic by the topic's size.
	longestCall = 30 * time.Minute
	// longestWait is far above what a stream waits in between: an hour is the longest that a server may ask for.
	longestWait = 2 * time.Hour
)

// wedged says what moves no more, though it should: nothing but a restart will help. It is empty while all is well, and while
// the API or the sink is merely down.
func (l *pipeline) wedged(now time.Time) []string {
	var list []string
	hung := func(name string, p *pulse) {
		if busy, _ := p.read(); !busy.IsZero() && now.Sub(busy) > longestCall {
			list = append(list, fmt.Sprintf("%s: a call has not come back for %s", name, span(now.Sub(busy))))
		}
	}
	hung("sink", l.pulse)
	newest, running := l.started, false
	for _, a := range l.lanes {
		status := a.poller.Status()
		if status.State == connector.StateStopped || status.State == connector.StateSpent { // that may last for weeks
			continue
		}
		running = true
		hung("stream "+status.Stream, a.pulse)
		if _, last := a.pulse.read(); last.After(newest) {
			newest = last
		}
	}
	_, asked := l.pulse.read()
	if asked.After(newest) {
		newest = asked
	}
	if most := longestWait + 3*l.pace(l.config.Poll.MaxInterval); running && now.Sub(newest) > most {
		list = append(list, fmt.Sprintf("no stream has called the API or the sink for %s", span(now.Sub(newest))))
	}
	return list
}

// unfinished says what did not come back in the time that a stop may take.
func (l *pipeline) unfinished(now time.Time) string {
	var list []string
	hung := func(name string, p *pulse) {
		if call, _ := p.oldest(); !call.began.IsZero() {
			list = append(list, fmt.Sprintf("%s waited for %s for %s", name, call.what, span(now.Sub(call.began))))
		}
	}
	hung("the start", l.pulse)
	for _, a := range l.lanes {
		hung("stream "+a.poller.Status().Stream, a.pulse)
	}
	if len(list) == 0 {
		return "not everything ended in time, though no call to 2Chat or to a stream's place in the sink is under way; the sink's connection may hang"
	}
	if more := len(list) - 5; more > 0 {
		list = append(list[:5], fmt.Sprintf("and %d more", more))
	}
	return "not everything ended in time: " + strings.Join(list, "; ") + "; what became of a commit the next start asks the sink"
}

// span writes a length of time as a person would, in one unit.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return "less than 1 s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// intervalText writes an interval as a person would, without more digits than matter.
func intervalText(d time.Duration) string {
	switch {
	case d >= time.Hour:
		d = d.Round(time.Minute)
	case d >= time.Minute:
		d = d.Round(time.Second)
	default:
		d = d.Round(100 * time.Millisecond)
	}
	return config.FormatDuration(d)
}

// ago writes a point in time as its distance; a dash where there is none.
func ago(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	if t.After(now.Add(time.Second)) {
		return "in " + span(t.Sub(now))
	}
	return span(max(0, now.Sub(t))) + " ago"
}
