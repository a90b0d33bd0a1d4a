package pipeline

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/poller"
)

// Note explains something of a stream that a number alone does not.
type Note struct {
	What string // in a word or two, with its number
	// Number is how many messages it concerns, where it concerns some for good.
	Number uint64
	Text   string // what that means, and what to do where something is to be done
	Hint   string // what to do; empty where there is nothing
}

// Notes explain what is to be known of a stream beside its state.
func (s StreamReport) Notes(now time.Time) []Note {
	var notes []Note
	note := func(n uint64, what, text, hint string) {
		if n > 0 {
			notes = append(notes, Note{What: thousands(n) + " " + what, Number: n, Text: text, Hint: hint})
		}
	}
	if said := s.catchUp(now); said != "" {
		notes = append(notes, Note{What: "catching up", Text: said})
	}
	if s.Unconfirmed > 0 && !s.UnconfirmedSince.IsZero() {
		notes = append(notes, Note{What: thousands(s.Unconfirmed) + " not certified", Text: "delivered, but no second walk has shown yet that none is missing among them, since " +
			text.Ago(s.UnconfirmedSince, now) + "; it heals with the first walk over a list that holds still"})
	}
	one := func(n uint64, singular, plural string) string {
		if n == 1 {
			return singular
		}
		return plural
	}
	note(s.Counters.Late, "late", one(s.Counters.Late, "2Chat listed it below newer ones; it is in the log, marked late",
		"2Chat listed them below newer ones; they are in the log, marked late"), "")
	note(s.Quarantined, "quarantined", one(s.Quarantined,
		"it cannot become an event, and is kept aside with the reason",
		"they cannot become events, and are kept aside with the reason"),
		"`twochat-connector quarantine list` names them")
	held := one(s.Counters.Held, "it stands where nothing tells new from forgotten, so it is not delivered again",
		"they stand where nothing tells new from forgotten, so they are not delivered again")
	if !s.Horizon {
		note(s.Counters.Held, "held", held,
			"`twochat-connector audit --stream "+s.Stream+" --all` tells whether any is missing")
	}
	if s.Horizon {
		notes = append(notes, Note{
			What: thousands(s.Counters.Held) + " held", Number: s.Counters.Held,
			Text: "all that was delivered is gone from the list, and older messages are held",
			Hint: "`twochat-connector run --accept-history` delivers them, if they are wanted",
		})
	}
	if said := AcceptingText(s.Accepting); said != "" {
		notes = append(notes, Note{What: "accepting", Text: said})
	}
	note(s.Counters.Empty, "empty", one(s.Counters.Empty, "it was listed before its content, and is empty in the log",
		"they were listed before their content, and are empty in the log"),
		"`twochat-connector check --learn` looks for more of them")
	note(s.Counters.Suppressed, "suppressed",
		"so often items without an id that vary, or of which there are too many, were read and not quarantined again", "")
	if s.EndOpen {
		notes = append(notes, Note{
			What: "end open", Text: "where its list ended at the first start is checked again for some minutes",
		})
	}
	note(s.Fenced, "taken over", "so often another instance took the stream over",
		"see whether two copies run that should not; several replicas do this when they start or end")
	note(s.Unclear, "unclear", "so often it was not clear what became of a commit, and the sink was asked; nothing is lost or doubled", "")
	if said := s.failures(); said != "" {
		notes = append(notes, Note{What: "failed calls", Text: said})
	}
	return notes
}

// NotesOf explain what is to be known of a stream of the report; their commands are about the instance's configuration.
func (r Report) NotesOf(s StreamReport) []Note {
	notes := s.Notes(r.Now)
	for i := range notes {
		notes[i].Hint = r.Configuration.Commands(notes[i].Hint)
	}
	return notes
}

// Doing is the stream's state in as few words as fit into a column, with how far a catch-up has come.
func (s StreamReport) Doing() string {
	if s.State == poller.StateCatchingUp && s.CatchUp.Total > 0 {
		return fmt.Sprintf("catching up, %d %%", int(100*s.CatchUp.Share()))
	}
	return StateText(s.Status)
}

// Next is when the stream does something by itself again: tries again what failed, or reads; zero if that is now.
func (s StreamReport) Next(now time.Time) time.Time {
	for _, at := range []time.Time{s.NextAttempt, s.NextPoll} {
		if at.After(now) {
			return at
		}
	}
	return time.Time{}
}

// catchUp is how far a catch-up has come, in words; nothing where none is under way.
func (s StreamReport) catchUp(now time.Time) string {
	c := s.CatchUp
	if c.Since.IsZero() || c.Total == 0 && s.State != poller.StateCatchingUp {
		return ""
	}
	if c.Total == 0 {
		return fmt.Sprintf("%s delivered so far, page %d of the list was read last; how far down it goes shows once known messages are met",
			text.Thousands(c.Delivered), c.Page)
	}
	said := fmt.Sprintf("%d %% done: %s of about %s messages", int(100*c.Share()), text.Thousands(c.Delivered),
		text.Thousands(c.Total))
	if left := c.Left(now); left > 0 {
		said += ", about " + text.Span(left) + " left"
	}
	return said
}

// failures says which calls and commits have failed since the start, the most frequent first.
func (s StreamReport) failures() string {
	return FailuresText(s.FailedCalls, s.FailedCommits)
}

// FailuresText says which calls and commits have failed, the most frequent first.
func FailuresText(calls map[connector.PageFault]uint64, commits map[string]uint64) string {
	all := Failures(calls, commits)
	list := slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		return cmp.Or(cmp.Compare(all[b], all[a]), cmp.Compare(a, b))
	})
	for i, what := range list {
		list[i] = thousands(all[what]) + " " + what
	}
	return strings.Join(list, ", ")
}

// Failures counts the calls and commits that have failed, by their causes in words.
func Failures(calls map[connector.PageFault]uint64, commits map[string]uint64) map[string]uint64 {
	all := map[string]uint64{}
	for fault, n := range calls {
		all[faultTexts[fault]] += n
	}
	for outcome, n := range commits {
		all[commitTexts[outcome]] += n
	}
	return all
}

// commitTexts describe why a commit was not taken.
var commitTexts = map[string]string{
	"fenced": "commits fenced by another instance", "unclear": "commits without a clear answer",
	"not_now": "commits not taken as the sink was down or full", "rejected": "messages rejected by the sink",
	"refused": "commits refused",
}

func thousands(n uint64) string { return text.Thousands(n) }

// Rank orders streams by how much they need to be looked at: what is wrong, what waits, what is behind, what has
// something to explain, what is quiet.
func (s StreamReport) Rank() int {
	switch {
	case s.Trouble != "":
		return 0
	case waiting(s):
		return 1
	case s.State != poller.StateLive:
		return 2
	}
	return 3
}

// WorstFirst returns the streams in the order in which they are to be looked at.
func (r Report) WorstFirst() []StreamReport {
	list := slices.Clone(r.Streams)
	slices.SortStableFunc(list, func(a, b StreamReport) int { return a.Rank() - b.Rank() })
	return list
}

// ChangeText says what has changed, of how many streams, and why.
func ChangeText(c poller.Change) string {
	who := c.Stream
	if c.Times > 1 {
		who = fmt.Sprintf("%s and others, %s times", who, text.Thousands(c.Times))
	}
	said := fmt.Sprintf("%s: %s → %s", who, stateWord(c.Was, ""), stateWord(c.State, c.Fault))
	if c.Cause != "" {
		said += ": " + c.Cause
	}
	return said
}

func stateWord(state poller.StreamState, fault connector.PageFault) string {
	return StateText(poller.Status{State: state, Fault: fault})
}
