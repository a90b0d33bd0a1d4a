package pipeline

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/poller"
	"github.com/twochat-connector/twochat-connector/connector/quota"
	"github.com/twochat-connector/twochat-connector/connector/reader"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
)

// Report is the state of a running instance, as the admin server shows it. It is made from recorded facts, without
// requests.
type Report struct {
	Version  string    `json:"version"`
	Instance string    `json:"instance"`
	Started  time.Time `json:"started"`
	Now      time.Time `json:"now"`
	Verdict  Verdict   `json:"verdict"`
	// Ready is true if NotReady is empty, and Healthy if Wedged is empty.
	Ready    bool     `json:"ready"`
	NotReady []string `json:"not_ready,omitempty"`
	Healthy  bool     `json:"healthy"`
	Wedged   []string `json:"wedged,omitempty"`

	Configuration Configuration `json:"configuration"`

	Sink sinkReport `json:"sink"`
	// AccountReport is that of the one account, where twochat is configured; else Accounts has them.
	AccountReport
	Accounts []AccountReport `json:"accounts,omitempty"`
	Streams  []StreamReport  `json:"streams"`
	// Replicas are those that share the streams; nil if the sink is for one process. Streams has only those read here.
	Replicas *ReplicasReport `json:"replicas,omitempty"`
	// Activity is that of all streams together. Changes are the newest changes of their states, newest first.
	poller.Activity
	Changes []poller.Change `json:"changes,omitempty"`
}

// AccountReport is what the streams of an account share.
type AccountReport struct {
	Name    string         `json:"name,omitempty"`
	Account *accountReport `json:"account,omitempty"`
	// RequestsPerMinute is the rate in force.
	RequestsPerMinute int64 `json:"requests_per_minute,omitempty"`
	// PausedUntil is until when the rate limit lets no request go; zero if it does.
	PausedUntil time.Time `json:"paused_until,omitzero"`
	// Budget is the month's budget of calls. SweepEvery is how often late messages are searched for under it.
	Budget     quota.BudgetStatus `json:"budget,omitzero"`
	SweepEvery time.Duration      `json:"sweep_every_ns"`
	// ShapeChanges are the differences between 2Chat's answers and what is known of them.
	ShapeChanges []twochat.ShapeChange `json:"shape_changes,omitempty"`
}

// accountReport is what the account last reported.
type accountReport struct {
	Asked        time.Time `json:"asked"`
	CallsUsed    int64     `json:"calls_used"`
	CallsAllowed int64     `json:"calls_allowed"`
	Blocked      bool      `json:"blocked,omitempty"`
	OnTrial      bool      `json:"on_trial,omitempty"`
	// NextAttempt is when the account is read again. Hint is what to do if the account is blocked.
	NextAttempt time.Time `json:"next_attempt,omitzero"`
	Hint        string    `json:"hint,omitempty"`
}

// accountReportOf is nil until the account answers for the first time.
func accountReportOf(s quota.AccountStatus) *accountReport {
	if s.Asked.IsZero() {
		return nil
	}
	said := &accountReport{
		Asked: s.Asked.UTC(), CallsUsed: s.Usage, CallsAllowed: s.MaxUsage, Blocked: s.Blocked, OnTrial: s.OnTrial,
		NextAttempt: s.Next.UTC(),
	}
	if s.Blocked {
		said.Hint = quota.BlockedHint
	}
	return said
}

// StreamReport is what the admin server shows of one stream.
type StreamReport struct {
	poller.Status
	poller.Activity
	// Account is the name of its account, if there are several.
	Account string `json:"account,omitempty"`
	// Trouble is why the stream is not as it should be; empty if it is.
	Trouble string `json:"trouble,omitempty"`
}

// Report returns the current state. It is safe for concurrent use.
func (l *Pipeline) Report(now time.Time) Report {
	sink := l.sinkReport()
	r := Report{
		Version: cli.Version(), Instance: l.Instance, Configuration: l.Configuration.Current(),
		Started: l.started.UTC(), Now: now.UTC(), Sink: sink,
		Wedged: l.wedged(now), Changes: l.changes.Newest(), Replicas: l.replicas.report(),
	}
	if r.Replicas != nil {
		r.Replicas.Unreached = !sink.Checked
	}
	if !sink.Checked {
		reason := "the sink is not reached yet"
		if sink.Waiting != "" {
			reason += ": " + sink.Waiting + "; " + sink.Hint
		}
		r.NotReady = append(r.NotReady, reason)
	}
	if sink.Checked && r.Replicas.Waits() {
		r.NotReady = append(r.NotReady, "the other replicas have not noticed this one yet; it reads nothing before")
	}
	for _, a := range l.all() {
		of := a.report(now)
		r.NotReady = append(r.NotReady, of.troubles(a.Config.Named(), now)...)
		if of.Name == "" {
			r.AccountReport = of
		} else {
			r.Accounts = append(r.Accounts, of)
		}
	}
	r.Streams = make([]StreamReport, 0, len(l.Claims))
	for _, a := range l.all() {
		if len(a.workers) == 0 && l.replicas != nil && (!sink.Checked || r.Replicas.Waiting) {
			r.Streams = append(r.Streams, a.unbegun(l.started)...)
		}
		for _, w := range a.workers {
			s := a.stream(w, now)
			if s.Trouble != "" && sink.Checked {
				r.NotReady = append(r.NotReady, "stream "+s.Stream+": "+s.Trouble)
			}
			r.Streams = append(r.Streams, s)
			r.Add(s.Activity)
			r.Sink.heard(s.Status)
		}
	}
	r.Ready, r.Healthy = len(r.NotReady) == 0, len(r.Wedged) == 0
	r.Verdict = VerdictOf(r)
	r.inForce()
	return r
}

// inForce makes the commands of the hints about the configuration in force.
func (r *Report) inForce() {
	of := r.Configuration.InForce
	for i := range r.NotReady {
		r.NotReady[i] = of.Commands(r.NotReady[i])
	}
	for i := range r.Streams {
		s := &r.Streams[i]
		s.Hint, s.Trouble = of.Commands(s.Hint), of.Commands(s.Trouble)
	}
	r.Sink.Hint = of.Commands(r.Sink.Hint)
}

// report is what the account's streams share, as it stands.
func (a *accountWorker) report(now time.Time) AccountReport {
	of := AccountReport{
		Name: a.Config.Account(), Account: accountReportOf(a.account.Status()),
		RequestsPerMinute: a.account.RequestsPerMinute(), Budget: a.account.Budget.Status(now),
		SweepEvery: a.account.SweepEvery(), ShapeChanges: a.Client.ShapeChanges(),
	}
	if paused := a.account.Limiter.Paused(); paused.After(now) {
		of.PausedUntil = paused.UTC()
	}
	return of
}

// OfAccounts are the reports of all accounts: of the one that is configured, or of each that has a name.
func (r Report) OfAccounts() []AccountReport {
	if len(r.Accounts) == 0 {
		return []AccountReport{r.AccountReport}
	}
	return r.Accounts
}

// troubles are what keeps all streams of an account from being read. Each begins with the account's name, if it has one.
func (r AccountReport) troubles(named string, now time.Time) []string {
	var list []string
	if r.Account != nil && r.Account.Blocked {
		subject := "the account"
		if named != "" {
			subject = named + "it"
		}
		list = append(list, subject+" is blocked at 2Chat; "+quota.BlockedHint+"; next attempt in "+
			text.Span(max(0, r.Account.NextAttempt.Sub(now))))
	}
	if r.Budget.Stopped {
		list = append(list, named+"the month's budget of calls is "+r.Budget.Text)
	}
	return list
}

// stream is what the report has of one stream of the account.
func (a *accountWorker) stream(w *streamWorker, now time.Time) StreamReport {
	status := w.status()
	s := StreamReport{
		Status: status, Activity: w.poller.Activity(now), Account: a.Config.Account(), Trouble: trouble(status, now),
	}
	pause := a.account.Limiter.Paused().Sub(now)
	limited := s.Trouble != "" && asks(status.State) && pause > 0
	switch next := status.NextAttempt.Sub(now); {
	case limited:
		s.Trouble += "; the rate limit allows no request for another " + text.Span(pause)
	case s.Trouble != "" && next > 0:
		s.Trouble += "; next attempt in " + text.Span(next)
	}
	return s
}

// leastPatience is an age of the last successful poll that is always acceptable.
const leastPatience = 30 * time.Second

// longWait is how long a stream may wait for one thing and still be ready.
const longWait = time.Minute

// trouble explains which recorded fact keeps a stream from being ready. A ready stream is owned, by this instance or
// another one. Within three intervals it was read down to what is delivered; or it is catching up, and made a call
// within them. A stream that waits for a person becomes not ready at once, and one that waits for anything else after a
// while.
func trouble(s poller.Status, now time.Time) string {
	patience := max(3*s.Interval, leastPatience)
	within := func(t time.Time) bool { return !t.IsZero() && now.Sub(t) <= patience }
	var text string
	switch {
	case s.State == poller.StateStopped, s.State == poller.StateRefused, s.State == poller.StateSpent:
		text = StateText(s)
	case s.State == poller.StateStandby:
		return ""
	case !s.Owned:
		text = "its place in the sink is not acquired"
	case stands(s, now):
		text = lastWalk(s, now)
	case within(s.LastSuccessfulPoll), s.State == poller.StateCatchingUp && within(s.LastRequest):
		return ""
	case s.LastSuccessfulPoll.IsZero() && s.State == poller.StateLive && within(s.Since):
		return "" // its first start has settled what is wanted; the first walk is due
	default:
		text = lastWalk(s, now)
	}
	if state := StateText(s); text != state {
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

// stands reports whether an owned stream is stuck although its last poll may be recent: a person has to act, or it has
// waited for long.
func stands(s poller.Status, now time.Time) bool {
	switch s.State {
	case poller.StateNoSource:
		return s.Fault.NeedsPerson() || s.NextAttempt.Sub(s.Since) > longWait
	case poller.StateNoSink, poller.StateCommitting:
		return now.Sub(s.Since) > leastPatience
	}
	return false
}

// lastWalk describes when the list was last read.
func lastWalk(s poller.Status, now time.Time) string {
	if s.LastSuccessfulPoll.IsZero() {
		return "no successful poll yet"
	}
	return "the last successful poll was " + text.Span(now.Sub(s.LastSuccessfulPoll)) + " ago"
}

// asks reports whether a stream in this state waits only for 2Chat.
func asks(state poller.StreamState) bool {
	return state == poller.StateLive || state == poller.StateCatchingUp || state == poller.StateNoSource
}

// StateText describes a stream's state.
func StateText(s poller.Status) string {
	switch {
	case s.State == poller.StateCatchingUp && s.BacklogPage > 0:
		return fmt.Sprintf("catching up from page %d", s.BacklogPage)
	case s.State == poller.StateNoSource && faultTexts[s.Fault] != "":
		return faultTexts[s.Fault]
	case s.State == poller.StateSpent && s.Fault == connector.FaultCredits:
		return "the account's plan is spent"
	case s.State == poller.StateSpent:
		return "the month's budget is spent"
	}
	return strings.ReplaceAll(string(s.State), "_", " ")
}

// faultTexts describe why pages cannot be read, in words that fit into a column.
var faultTexts = map[connector.PageFault]string{
	connector.FaultTransient: "no answer from 2Chat", connector.FaultInvalid: "no valid page",
	connector.FaultRateLimited: "rate limited",
	connector.FaultCredits:     "no credits", connector.FaultKey: "wrong key", connector.FaultBlocked: "account blocked",
	connector.FaultNumber:  "number disconnected",
	connector.FaultRequest: "request refused",
}

const (
	// longestCall is far above the duration of any call to the API or the sink. Each call has a limit of its own; for
	// reading back a large Kafka topic it depends on the topic's size.
	longestCall = 30 * time.Minute
	// longestWait is far above the time that a stream waits between calls: twice what a server may ask for.
	longestWait = 2 * connector.MaxRetryAfter
)

// wedged lists what is stuck and needs a restart. It is empty if all is well, and also if the API or the sink is merely
// down.
func (l *Pipeline) wedged(now time.Time) []string {
	var list []string
	hung := func(name string, p *watchdog) {
		if busy, _ := p.read(); !busy.IsZero() && now.Sub(busy) > longestCall {
			list = append(list, fmt.Sprintf("%s: a call has not returned for %s", name, text.Span(now.Sub(busy))))
		}
	}
	hung("sink", l.watchdog)
	for _, a := range l.all() {
		newest, running := l.started, false
		for _, w := range a.workers {
			status := w.poller.Status()
			if status.State == poller.StateStopped || status.State == poller.StateSpent { // that may last for weeks
				continue
			}
			running = true
			hung("stream "+status.Stream, w.watchdog)
			if _, last := w.watchdog.read(); last.After(newest) {
				newest = last
			}
		}
		if _, asked := l.watchdog.read(); asked.After(newest) {
			newest = asked
		}
		if most := longestWait + 3*a.account.Pace(a.Config.Poll.MaxInterval); running && now.Sub(newest) > most {
			list = append(list, a.Config.Named()+"no stream has called the API or the sink for "+text.Span(now.Sub(newest)))
		}
	}
	return list
}

// Unfinished describes what did not return within the time that a stop may take.
func (l *Pipeline) Unfinished(now time.Time) string {
	var list []string
	hung := func(name string, p *watchdog) {
		if call, _ := p.oldest(); !call.began.IsZero() {
			list = append(list, fmt.Sprintf("%s has waited for %s for %s", name, call.what, text.Span(now.Sub(call.began))))
		}
	}
	hung("the start", l.watchdog)
	for _, a := range l.workers() {
		hung("stream "+a.poller.Status().Stream, a.watchdog)
	}
	if len(list) == 0 {
		return "not everything ended in time, although no call to 2Chat or to the sink is in progress; the sink's connection may hang"
	}
	if more := len(list) - 5; more > 0 {
		list = append(list[:5], fmt.Sprintf("and %d more", more))
	}
	return "not everything ended in time: " + strings.Join(list, "; ") +
		"; the next start asks the sink what became of a commit"
}

// AcceptingText describes how far the delivery of held messages is; empty if there is none.
func AcceptingText(a *reader.AcceptProgress) string {
	switch {
	case a == nil:
		return ""
	case a.Page == nil:
		return "held messages are being delivered (`twochat-connector run --accept-history`), from the end of the list upward: none so far"
	}
	return fmt.Sprintf("held messages are being delivered (`twochat-connector run --accept-history`), from the end of the list upward: %s so far, complete up to page %d", text.Thousands(a.Delivered), *a.Page)
}

// waiting reports whether a stream waits for something that may pass, so that not all is well, although nobody has to
// act yet.
func waiting(s StreamReport) bool {
	switch s.State {
	case poller.StateLive, poller.StateCatchingUp, poller.StateStandby, poller.StateCommitting:
		return false
	}
	return true
}

// Waiting reports whether a stream waits for something, but not for so long that it is not ready.
func (r Report) Waiting() bool { return slices.ContainsFunc(r.Streams, waiting) }
