package quarantine

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
)

// Outcome is the result for an item.
type Outcome string

// The outcomes.
const (
	Delivered  Outcome = "delivered"   // it is in the log now, as late
	Deliver    Outcome = "deliverable" // it would be delivered: in a dry run
	InLog      Outcome = "in_log"      // it was already in the log
	NoEvent    Outcome = "no_event"    // it still cannot become an event
	Refused    Outcome = "refused"     // the sink still refuses it
	NotKept    Outcome = "not_kept"    // the quarantine has none of its bytes, or not all of them
	Unknown    Outcome = "unknown"     // it may have been delivered and have expired from the log since
	Erased     Outcome = "erased"      // it was erased on request
	LeftBehind Outcome = "left"        // there was no more room in memory
)

// Replayed is an item, and its result.
type Replayed struct {
	ID       string    `json:"id"`
	Recorded time.Time `json:"recorded"`
	// Reason is why it was quarantined.
	Reason  string  `json:"reason"`
	Outcome Outcome `json:"outcome"`
	// Because is why it stays quarantined.
	Because string `json:"because,omitempty"`
	// Hint is what to do about that.
	Hint string `json:"hint,omitempty"`
	// Sequence is that of its event, if this run delivered it.
	Sequence uint64 `json:"sequence,omitempty"`
}

// StreamReport lists the results of a stream's items, oldest first.
type StreamReport struct {
	Stream string     `json:"stream"`
	Items  []Replayed `json:"items"`
	// Elsewhere is how many further messages other sinks have quarantined, and ElsewhereHint where these are.
	Elsewhere     uint64 `json:"elsewhere,omitempty"`
	ElsewhereHint string `json:"elsewhere_hint,omitempty"`
}

// Report lists the results of all streams.
type Report struct {
	DryRun  bool           `json:"dry_run"`
	Streams []StreamReport `json:"streams"`
}

// left reports whether anything stays in the quarantine that is not in the log.
func (r *Report) left() bool {
	return slices.ContainsFunc(r.Streams, func(s StreamReport) bool {
		return slices.ContainsFunc(s.Items, func(i Replayed) bool {
			return !slices.Contains([]Outcome{Delivered, Deliver, InLog, Erased}, i.Outcome)
		})
	})
}

// said lists the outcomes in the order in which they are printed, with their wording and a hint.
var said = []struct {
	outcome    Outcome
	word, hint string
}{
	{Delivered, "delivered", ""},
	{Deliver, "deliverable", ""},
	{InLog, "in the log", ""},
	{Erased, "erased", ""},
	{NoEvent, "no event yet", "a later release may read it; `twochat-connector quarantine show ID` has its bytes"},
	{Refused, "refused", "raise the sink's limit, and run the same command again"},
	{NotKept, "not kept", ""}, // it depends on the item (candidate.hint)
	{Unknown, "not known", "the log no longer reaches back to when it came in: see in what read the log whether it was delivered; " +
		"`twochat-connector quarantine show ID --raw` has its bytes"},
	{LeftBehind, "left", "run the same command again: it goes on with these"},
}

// hintOf is the hint of an outcome.
func hintOf(outcome Outcome) string {
	for _, words := range said {
		if words.outcome == outcome {
			return words.hint
		}
	}
	return ""
}

// mostNamed is how many items are named if there are more with the same result.
const mostNamed = 10

func (r *Report) print(p *cli.Program) error {
	out := &strings.Builder{}
	for i, s := range r.Streams {
		if i > 0 {
			out.WriteByte('\n')
		}
		held := text.Counted(len(s.Items), "item") + " in the quarantine"
		if len(s.Items) == 0 {
			held = "nothing is in the quarantine"
		}
		fmt.Fprintf(out, "stream %s: %s\n", text.Printable(s.Stream), held)
		for _, words := range said {
			s.printOutcome(out, words.outcome, words.word)
		}
		if s.Elsewhere > 0 {
			fmt.Fprintf(out, "  %-14s%s\n", "elsewhere", s.ElsewhereHint)
		}
	}
	return p.Print(out.String())
}

// group is what items with the same outcome have in common.
type group struct{ because, hint string }

// printOutcome prints the items with one outcome, grouping those that are alike.
func (s StreamReport) printOutcome(out *strings.Builder, outcome Outcome, word string) {
	alike := map[group][]Replayed{}
	var all []Replayed
	for _, i := range s.Items {
		if i.Outcome == outcome {
			of := group{i.Because, i.Hint}
			alike[of], all = append(alike[of], i), append(all, i)
		}
	}
	switch {
	case len(all) == 0:
		return
	case outcome == Delivered:
		places := fmt.Sprintf("#%d", all[0].Sequence)
		if len(all) > 1 {
			places += fmt.Sprintf(" to #%d", all[len(all)-1].Sequence)
		}
		fmt.Fprintf(out, "  %-14s%s, marked late, as %s\n", word, text.Thousands(len(all)), places)
		return
	case outcome == Deliver:
		fmt.Fprintf(out, "  %-14s%s; nothing was delivered, as this is a dry run\n", word, text.Thousands(len(all)))
		return
	case outcome == InLog:
		fmt.Fprintf(out, "  %-14s%s already\n", word, text.Thousands(len(all)))
		return
	}
	groups := slices.SortedFunc(maps.Keys(alike), func(a, b group) int { // those with the same hint together
		return cmp.Or(cmp.Compare(a.hint, b.hint), cmp.Compare(len(alike[b]), len(alike[a])),
			cmp.Compare(a.because, b.because))
	})
	for n, of := range groups {
		of.print(out, word, alike[of])
		if of.hint != "" && (n == len(groups)-1 || groups[n+1].hint != of.hint) {
			fmt.Fprintf(out, "  %-14s→ %s\n", "", of.hint)
		}
	}
}

func (g group) print(out *strings.Builder, word string, items []Replayed) {
	fmt.Fprintf(out, "  %-14s%s: %s\n", word, text.Thousands(len(items)), text.Printable(g.because))
	for n, i := range items {
		if n == mostNamed {
			fmt.Fprintf(out, "  %-16s… and %s more, which --json has\n", "", text.Thousands(len(items)-n))
			return
		}
		fmt.Fprintf(out, "  %-16s%.15s  %s UTC\n", "", text.Printable(i.ID), i.Recorded.UTC().Format(time.DateTime))
	}
}
