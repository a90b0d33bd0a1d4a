package audit

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/connector"
)

// print prints what was found, for a person or as JSON.
func (a *Engine) print(r *Report) error {
	if a.options.JSON {
		return cli.PrintJSON(a.program.Out, r)
	}
	var out strings.Builder
	if r.DryRun {
		fmt.Fprintf(&out, "About %s messages, which take %s to %s calls (credits): the fewest if nothing comes in, the most if the list changes all the time. This estimate took %s.\n",
			text.Thousands(r.About.Messages), text.Thousands(r.About.Calls), text.Thousands(r.About.CallsMost),
			text.Counted(a.calls(), "call"))
	}
	for i := range r.Streams {
		r.Streams[i].write(&out, commandOf(a.program.InForce(), a.options.Start, r.Streams[i].Stream),
			a.repairFlags())
	}
	r.writeUnreadable(&out)
	for _, of := range r.Unaudited {
		fmt.Fprintf(&out, "Stream %s: not audited: %s.\n  → %s\n", of.Stream, of.Cause, of.Hint)
	}
	if a.files.digest != "" {
		fmt.Fprintf(&out, "\nThe report is in %s.json and %s.html; the SHA-256 of the JSON file is %s.\n", a.files.path,
			a.files.path, a.files.digest)
	}
	return a.program.Print(out.String())
}

// commandOf is this command for one stream, with more flags, to be copied from a text.
func commandOf(force cli.InForce, start connector.Start, stream string) func(flags ...string) string {
	window := []string{"--all"}
	if since := start.Since; !since.IsZero() {
		window = []string{"--since", since.UTC().Format(time.RFC3339)}
	}
	return func(flags ...string) string {
		return force.Command(slices.Concat([]string{"audit", "--stream", stream}, window, flags)...)
	}
}

// mostShown is how many messages of a kind are printed for a person; the report has all of them.
const mostShown = 20

// write prints the findings of a stream. again is the command with more flags, repair are those of a repair.
func (s *StreamReport) write(out *strings.Builder, again func(flags ...string) string, repair []string) {
	fmt.Fprintf(out, "Stream %s: %s listed, %s in the log", s.Stream, text.Counted(s.Listed, "message"),
		text.Counted(s.Events, "event"))
	if s.Events > 0 {
		fmt.Fprintf(out, " (%s, certified up to #%d)", sequences(s.FirstSequence, s.LastSequence), s.Certified)
	}
	fmt.Fprintf(out, ". It took %s.\n", text.Counted(s.Calls, "call"))
	for _, line := range s.summary() {
		fmt.Fprintf(out, "  %s\n", line)
	}
	for _, line := range s.noted() {
		fmt.Fprintf(out, "    %s\n", line)
	}
	shown := map[string]int{}
	for _, d := range s.details() {
		if shown[d.Kind]++; shown[d.Kind] <= mostShown {
			fmt.Fprintf(out, "  %-12s  %s\n", d.Kind, d.Text)
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(shown)) {
		if more := shown[kind] - mostShown; more > 0 {
			fmt.Fprintf(out, "  and %s more %s: %s lists them all\n", text.Thousands(more), kind, again("--report", "FILE"))
		}
	}
	for _, line := range s.advice(again, repair) {
		fmt.Fprintf(out, "  → %s\n", line)
	}
}

// summary lists what is wrong, as lines.
func (s StreamReport) summary() []string {
	var lines []string
	say := func(count any, what, meaning string) {
		if n := text.Thousands(count); n != "0" {
			lines = append(lines, fmt.Sprintf("%7s %-13s %s", n, what, meaning))
		}
	}
	say(s.Counts.Missing, "missing", "listed, but not in the log")
	say(s.Counts.Doubled, "doubled", "in the log more than once")
	say(s.Counts.OutOfOrder, "out of order", "in the log after newer ones, but not marked late")
	say(s.Counts.Changed, "changed", "different in the log and in the list; which of the two was changed cannot be told")
	say(s.Counts.Erased, "erased", "sequences that are gone from the log")
	say(s.Counts.Unfinished, "not erased",
		"to be erased on request, and still in the log: the erase that was broken off goes on if it is given again")
	say(s.Counts.Unreadable, "unreadable", "records among the events that are not events")
	if len(lines) == 0 {
		lines = append(lines, "Nothing is missing, doubled, out of order, changed or erased.")
	}
	if r := s.Repair; r != nil {
		lines = append(lines, s.repaired(r))
	}
	return lines
}

// sequences names a range of them, or the only one.
func sequences(first, last uint64) string {
	if first == last {
		return fmt.Sprintf("#%d", first)
	}
	return fmt.Sprintf("#%d to #%d", first, last)
}

// repaired describes the result of a repair.
func (s StreamReport) repaired(r *Repair) string {
	said := "Repair: nothing was restored."
	if r.Restored > 0 {
		said = fmt.Sprintf("Repair: %s restored, marked late, as %s.", text.Counted(r.Restored, "message"),
			sequences(r.First, r.Last))
	}
	if r.Present > 0 {
		said += fmt.Sprintf(" %s already in the log.", text.Counted(r.Present, "message"))
	}
	if r.Quarantined > 0 {
		said += fmt.Sprintf(" The sink refuses %s; see the quarantine.", text.Counted(r.Quarantined, "message"))
	}
	if r.Refused > 0 {
		said += fmt.Sprintf(" The sink still refuses %s that the quarantine has.", text.Counted(r.Refused, "message"))
	}
	if r.Left > 0 {
		said += fmt.Sprintf(" %s left: run the same command again for them.", text.Counted(r.Left, "message"))
	}
	return said
}

// noted lists what is not an error, as lines.
func (s StreamReport) noted() []string {
	n := s.Findings.Noted
	var lines []string
	say := func(count int, meaning string) {
		if count > 0 {
			lines = append(lines, text.Thousands(count)+" "+meaning)
		}
	}
	say(n.NotYet, "not delivered yet: listed above all that is certified")
	say(n.ErasedOnRequest, "erased on request")
	say(n.Late, "delivered late, and marked late")
	say(n.Restored, "delivered again after their events were gone from the log")
	say(len(n.OnlyInLog), "only in the log: deleted in 2Chat since, or no longer shown")
	if s.HistoryOf != "" {
		say(n.BeforeStart, "listed before where the history begins, as backfill was told with --since")
		n.BeforeStart = 0
	}
	say(n.BeforeStart, "listed before the stream's first start: `twochat-connector backfill --stream "+s.Stream+" --all` delivers them")
	say(n.Expired, "no longer in the log, as its oldest events were removed, by retention, a purge, kafka-delete-records or with a file: a repair leaves them")
	for _, reason := range slices.Sorted(maps.Keys(n.Quarantined)) {
		say(n.Quarantined[reason], "in the quarantine: "+reason)
	}
	if len(n.Unfit) == 1 {
		say(1, "cannot become an event, and is not in the quarantine")
	} else {
		say(len(n.Unfit), "cannot become events, and are not in the quarantine")
	}
	say(n.Held, "held: already listed when the list lost all that was delivered")
	say(n.Incomparable, "not compared: written with a different `events.data` than configured")
	say(n.OtherPrivacy, "not compared: written with a different pseudonym key, or without one, before a rekey")
	say(n.OtherSettings, "written with another `privacy.drop` or other settings of events: compared without what these leave "+
		"out or add")
	say(n.OtherToken, "with a different chat token, as they were written before a rekey: unchanged but for that")
	return append(lines, s.otherPlaces()...)
}

// otherPlaces lists what lies under former names, and in other sinks.
func (s StreamReport) otherPlaces() []string {
	var lines []string
	for _, of := range s.FormerNames {
		line := fmt.Sprintf("%s under the former name %s", text.Counted(of.Events, "event"), of.Name)
		if of.NoCheckpoint {
			line += ", whose checkpoint is gone"
		}
		if of.Events > 0 || of.NoCheckpoint {
			lines = append(lines, line)
		}
	}
	for _, r := range s.Elsewhere {
		where := "delivered to another sink"
		if s.FirstSequence == 0 || r.To < s.FirstSequence {
			where = "delivered to another sink, before this sink's log"
		}
		lines = append(lines, fmt.Sprintf("%s %s: %s", text.Thousands(r.To-r.From+1), where, sequences(r.From, r.To)))
	}
	for _, r := range s.Skipped {
		lines = append(lines, fmt.Sprintf("%s passed over with --first-start: %s",
			text.Counted(int(r.To-r.From+1), "sequence"), sequences(r.From, r.To)))
	}
	return lines
}

// detail is one line about a message or a range.
type detail struct{ Kind, Text string }

// details lists what is wrong, one by one.
func (s StreamReport) details() []detail {
	var all []detail
	for _, m := range s.Findings.Missing {
		was := "never delivered, as far as the log shows"
		if m.Sequence > 0 {
			was = fmt.Sprintf("it was #%d", m.Sequence)
		}
		all = append(all, detail{"missing", m.line() + "  " + was})
	}
	for _, d := range s.Findings.Doubled {
		places := make([]string, len(d.Sequences))
		for i, sequence := range d.Sequences {
			places[i] = fmt.Sprintf("#%d", sequence)
		}
		all = append(all, detail{"doubled", d.UUID + "  " + strings.Join(places, ", ")})
	}
	for _, m := range s.Findings.OutOfOrder {
		all = append(all, detail{"out of order", m.line() + fmt.Sprintf("  #%d", m.Sequence)})
	}
	for _, m := range s.Findings.Changed {
		all = append(all, detail{"changed", m.line() + fmt.Sprintf("  #%d", m.Sequence)})
	}
	for _, r := range s.Findings.Erased {
		line := fmt.Sprintf("#%d", r.From)
		if r.To > r.From {
			line = fmt.Sprintf("%s of %s", text.Thousands(r.Count), sequences(r.From, r.To))
		}
		if r.Beginning {
			line += ", at the beginning of the log: no longer in it"
		}
		all = append(all, detail{"erased", line})
	}
	return append(all, unreadable(s.Findings.UnreadableAt)...)
}

// line describes a message for a person.
func (m Message) line() string {
	if m.Time.IsZero() {
		return m.UUID
	}
	return m.UUID + "  " + m.Time.Format("2006-01-02 15:04:05")
}

// advice describes what to do next.
func (s *StreamReport) advice(again func(flags ...string) string, repair []string) []string {
	var lines []string
	switch first := s.BeforeRepair; {
	case s.Counts.Missing == 0 || s.Repair != nil:
	case first != nil:
		lines = append(lines, fmt.Sprintf("nothing can be repaired yet: %s. First: %s. Then %s restores what is missing, "+
			"marked late", first.Cause, first.Hint, again(repair...)))
	default:
		lines = append(lines, again(repair...)+" restores what is missing, marked late")
	}
	if s.Counts.Doubled+s.Counts.OutOfOrder > 0 {
		lines = append(lines, "a log is append-only: consumers de-duplicate by id, and order by sequence")
	}
	if slices.ContainsFunc(s.Findings.Erased, func(r Range) bool { return r.Beginning }) {
		lines = append(lines, "if old events are removed on purpose, use --since to audit younger ones")
	}
	if s.Counts.Unreadable > 0 {
		lines = append(lines, unreadableAdvice)
	}
	return lines
}
