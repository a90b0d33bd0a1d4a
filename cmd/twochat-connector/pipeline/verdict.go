package pipeline

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/poller"
	"github.com/twochat-connector/twochat-connector/connector/quota"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
)

// Level is how bad something is.
type Level string

// The levels: all is as it should be; something is to be looked at by day; something is waited for, and may pass;
// something is not as it should be.
const (
	LevelWell    Level = "well"
	LevelNotice  Level = "notice"
	LevelWaiting Level = "waiting"
	LevelWrong   Level = "wrong"
)

// Verdict is what somebody who is woken at night wants to know first.
type Verdict struct {
	Level Level  `json:"level"`
	Text  string `json:"text"`
	// Problems are what is behind it, the worst first.
	Problems []Problem `json:"problems,omitempty"`
}

// Problem is one thing that is not well, of one stream or of several.
type Problem struct {
	Level Level  `json:"level"`
	What  string `json:"what"`
	// Person is true where it does not pass by itself.
	Person bool `json:"person,omitempty"`
	// Streams are the first few that it concerns, Count is how many it does; none where it concerns all.
	Streams []string  `json:"streams,omitempty"`
	Count   int       `json:"count,omitempty"`
	Since   time.Time `json:"since,omitzero"`
	Cause   string    `json:"cause,omitempty"`
	// Hint is what to do.
	Hint        string    `json:"hint"`
	NextAttempt time.Time `json:"next_attempt,omitzero"`
	// Runbook is the section of deploy/README.md about it.
	Runbook string `json:"runbook"`

	minor bool // it is listed, but all is well with it
}

// streamsNamed is how many streams of a problem are named.
const streamsNamed = 5

// Scope says which streams a problem concerns; nothing where it concerns all.
func (p Problem) Scope() string {
	switch {
	case p.Count == 0:
		return ""
	case p.Count == 1:
		return "stream " + p.Streams[0]
	case p.Count > len(p.Streams):
		return fmt.Sprintf("%s streams: %s, …", text.Thousands(p.Count), strings.Join(p.Streams, ", "))
	}
	return fmt.Sprintf("%d streams: %s", p.Count, strings.Join(p.Streams, ", "))
}

// VerdictOf is the verdict on a report.
func VerdictOf(r Report) Verdict {
	v := Verdict{Level: LevelWell, Problems: r.problems()}
	for i, p := range v.Problems {
		v.Problems[i].Hint = r.Configuration.Commands(p.Hint)
		if badness(p.Level) > badness(v.Level) {
			v.Level = p.Level
		}
	}
	slices.SortStableFunc(v.Problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(badness(b.Level), badness(a.Level)), -compareBool(a.Person, b.Person),
			cmp.Compare(b.Count, a.Count))
	})
	switch {
	case !r.Ready || !r.Healthy || v.Level == LevelWrong: // whatever is known of it
		v.Level = LevelWrong
		v.Text = "not as it should be" + v.worst(LevelWrong)
	case v.Level == LevelWaiting:
		v.Text = "ready, but waiting for something" + v.worst(LevelWaiting)
	case v.Level == LevelNotice && len(v.notices(false)) > 0:
		v.Text = "delivery works" + r.well() + "; " + v.toLookAt()
	default:
		v.Text = "all is well" + r.well() + v.toKnow()
	}
	return v
}

func badness(l Level) int {
	return slices.Index([]Level{LevelWell, LevelNotice, LevelWaiting, LevelWrong}, l)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// Alone reports whether one problem alone makes the verdict, which names it.
func (v Verdict) Alone() bool {
	return v.Level != LevelNotice && len(v.Problems) > 0 && v.Problems[0].Level == v.Level &&
		(len(v.Problems) == 1 || v.Problems[1].Level != v.Level)
}

// worst names the problems of a level in a few words.
func (v Verdict) worst(level Level) string {
	var of []Problem
	for _, p := range v.Problems {
		if p.Level == level {
			of = append(of, p)
		}
	}
	switch len(of) {
	case 0:
		return ""
	case 1:
		if scope := of[0].Scope(); scope != "" {
			return ": " + of[0].What + " (" + scope + ")"
		}
		return ": " + of[0].What
	}
	return fmt.Sprintf(": %s, and %s", of[0].What, text.Counted(len(of)-1, "other thing"))
}

// well says what goes on where nothing is wrong.
func (r Report) well() string {
	behind, standby := 0, 0
	var newest time.Time
	var left time.Duration
	for _, s := range r.Streams {
		switch s.State {
		case poller.StateCatchingUp:
			behind++
			left = max(left, s.CatchUp.Left(r.Now))
		case poller.StateStandby:
			standby++
		}
		if s.NewestMessage.After(newest) {
			newest = s.NewestMessage
		}
	}
	var said strings.Builder
	if behind > 0 {
		fmt.Fprintf(&said, ", %s catching up", text.Counted(behind, "stream"))
		if left > 0 {
			fmt.Fprintf(&said, ", about %s left", text.Span(left))
		}
	}
	if standby > 0 && standby == len(r.Streams) {
		said.WriteString(", as another instance took over")
	}
	if !newest.IsZero() {
		fmt.Fprintf(&said, "; the newest message is from %s", text.Ago(newest, r.Now))
	}
	if of := r.Replicas; of != nil && len(of.Elsewhere) > 0 {
		fmt.Fprintf(&said, "; %s read by other replicas", text.Counted(len(of.Elsewhere), "stream"))
	}
	return said.String()
}

// problems lists what is not well.
func (r Report) problems() []Problem {
	var list []Problem
	for _, stuck := range r.Wedged {
		list = append(list, Problem{
			Level: LevelWrong, What: "the process is stuck", Person: true, Cause: stuck,
			Hint: "restart it, nothing is lost or doubled; then report what the log said", Runbook: "TwochatConnectorDown",
		})
	}
	if !r.Sink.Checked && !r.Ready {
		list = append(list, Problem{
			Level: LevelWrong, What: "the sink is not reached yet", Cause: r.Sink.Waiting,
			Hint:    cmp.Or(r.Sink.Hint, "wait a moment: it is asked just now"),
			Runbook: "TwochatConnectorSinkDown",
		})
	} else {
		list = append(list, r.streamProblems()...)
	}
	for _, account := range r.OfAccounts() {
		list = append(list, r.accountProblems(account)...)
	}
	if p, found := r.quarantined(); found {
		list = append(list, p)
	}
	if of := r.Replicas; of != nil && of.Cause != "" && r.Sink.Checked {
		list = append(list, Problem{
			Level: LevelNotice, What: "other replicas cannot be seen", Person: of.Hint != "", Cause: of.Cause,
			Hint:    cmp.Or(of.Hint, "nothing, if the sink is down or full just now; else see what the sink says"),
			Runbook: "TwochatConnectorReplicasUnseen", minor: of.Hint != "",
		})
	}
	if c := r.Configuration; c.Refused != "" {
		list = append(list, Problem{
			Level: LevelNotice, What: "the changed configuration file is refused",
			Person: true, Since: c.RefusedAt, Hint: c.Hint,
			Cause:   "the one before stays in force: " + text.Line(strings.ReplaceAll(c.Refused, "\n", "; ")),
			Runbook: "TwochatConnectorConfigRefused",
		})
	}
	return list
}

// quarantined is the problem that messages are in the quarantine, of all streams together.
func (r Report) quarantined() (p Problem, found bool) {
	var total uint64
	for _, s := range r.Streams {
		if s.Quarantined == 0 {
			continue
		}
		total += s.Quarantined
		if p.Count++; len(p.Streams) < streamsNamed {
			p.Streams = append(p.Streams, s.Stream)
		}
	}
	p.Level, p.What = LevelNotice, thousands(total)+" messages are in the quarantine"
	if total == 1 {
		p.What = "1 message is in the quarantine"
	}
	p.Cause = "without what was delivered by a replay or erased since"
	p.Hint = "`twochat-connector quarantine list` names what is there, why, and what can deliver it"
	p.Runbook = "TwochatConnectorPutAside"
	return p, total > 0
}

// accountProblems are those of an account as a whole, unless its streams say so.
func (r Report) accountProblems(of AccountReport) []Problem {
	var list []Problem
	add := func(p Problem) {
		if of.Name != "" {
			p.What += " (account " + of.Name + ")"
		}
		list = append(list, p)
	}
	says := func(is func(s StreamReport) bool) bool {
		return slices.ContainsFunc(r.Streams, func(s StreamReport) bool { return s.Account == of.Name && is(s) })
	}
	blocked := func(s StreamReport) bool { return s.Fault == connector.FaultBlocked }
	if a := of.Account; a != nil && a.Blocked && !says(blocked) {
		add(Problem{
			Level: LevelWrong, What: "the account is blocked at 2Chat", Person: true, Hint: quota.BlockedHint,
			NextAttempt: a.NextAttempt, Runbook: "TwochatConnectorPersonNeeded",
		})
	}
	switch {
	case says(func(s StreamReport) bool { return s.State == poller.StateSpent }):
	case of.Budget.Stopped:
		add(Problem{
			Level: LevelWrong, What: "the month's budget is spent", Person: true, Cause: of.Budget.Text,
			Hint: budgetHint, Runbook: "TwochatConnectorSpent",
		})
	case of.Budget.State == quota.BudgetShort, of.Budget.State == quota.BudgetSpent:
		add(Problem{
			Level: LevelNotice, What: "the month's budget of calls is short", Cause: of.Budget.Text,
			Hint: budgetHint, Runbook: "TwochatConnectorCreditsLow",
		})
	}
	if len(of.ShapeChanges) > 0 {
		add(Problem{
			Level: LevelNotice, What: "2Chat's answers have a different shape than is known",
			Cause: fewChanges(of.ShapeChanges), Hint: ShapeHint, Runbook: "TwochatConnectorShapeChanged",
			minor: true,
		})
	}
	return list
}

// changesNamed is how many changes of shape a verdict names; the report has all of them.
const changesNamed = 4

func fewChanges(changes []twochat.ShapeChange) string {
	said := text.Line(ShapeText(changes[:min(len(changes), changesNamed)]))
	if more := len(changes) - changesNamed; more > 0 {
		said += fmt.Sprintf("; and %d more", more)
	}
	return said
}

const budgetHint = "raise poll.monthly_credits or poll.min_interval, or see what else uses the account"

// streamProblems are those of the streams, one for all that have the same.
func (r Report) streamProblems() []Problem {
	type kind struct {
		level      Level
		what, hint string
	}
	var list []Problem
	known := map[kind]int{}
	for _, s := range r.Streams {
		p, found := s.problem(r.Now, r.pausedUntil(s.Account))
		if !found {
			continue
		}
		of := kind{p.Level, p.What, p.Hint}
		at, met := known[of]
		if !met {
			at = len(list)
			known[of] = at
			list = append(list, p)
		}
		group := &list[at]
		group.Count++
		if len(group.Streams) < streamsNamed {
			group.Streams = append(group.Streams, s.Stream)
		}
		if p.Since.Before(group.Since) {
			group.Since = p.Since
		}
		if next := p.NextAttempt; group.NextAttempt.IsZero() || !next.IsZero() && next.Before(group.NextAttempt) {
			group.NextAttempt = next
		}
	}
	return list
}

// pausedUntil is until when an account's rate limit lets no request go.
func (r Report) pausedUntil(account string) time.Time {
	for _, of := range r.OfAccounts() {
		if of.Name == account {
			return of.PausedUntil
		}
	}
	return time.Time{}
}

// problem is what is not well with a stream, if anything is.
func (s StreamReport) problem(now, paused time.Time) (Problem, bool) {
	p := Problem{
		Level: LevelWaiting, What: Happening(s.Status), Since: s.Since, Cause: s.Cause, Hint: s.Advice(),
		Person: needsPerson(s.Status), NextAttempt: s.NextAttempt, Runbook: runbookOf(s.Status),
	}
	switch {
	case s.Trouble != "":
		p.Level = LevelWrong
		if s.State == poller.StateLive || s.State == poller.StateCatchingUp {
			p.What = "2Chat's list was not read in time"
			p.Cause = lastWalk(s.Status, now)
			p.Hint = "see whether the rate limit is too small for the streams; the log says what they wait for"
			p.Runbook = "TwochatConnectorNothingArrives"
			if s.LastSuccessfulPoll.IsZero() && now.Sub(s.Since) < leastPatience {
				p.What, p.Hint = "2Chat's list is not read to its end yet", "wait a moment: it is read just now"
			}
		}
	case !waiting(s):
		return p, false
	}
	if asks(s.State) && paused.After(p.NextAttempt) {
		p.NextAttempt = paused
	}
	if !p.NextAttempt.After(now) {
		p.NextAttempt = time.Time{}
	}
	return p, true
}
