package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
)

const (
	// rowsShown is how many streams are listed, the worst first, unless all are asked for.
	rowsShown = 20
	// explained is of how many of them the numbers are explained.
	explained = 5
	// changesShown is how many changes of state are listed; the page and --json have all that are remembered.
	changesShown = 5
)

// statusText prints a report for a person.
type statusText struct {
	to      io.Writer
	columns int
	colour  bool
	all     bool // streams, however many there are
	report  pipeline.Report
	now     time.Time
}

// printReport prints a report: the verdict and what to do first, then the streams, then the rest.
func printReport(to io.Writer, r pipeline.Report, all bool) error {
	t := statusText{
		to: to, columns: text.Columns(to), all: all, report: r, now: r.Now,
		colour: text.IsTerminal(to) && os.Getenv("NO_COLOR") == "",
	}
	return t.print()
}

func (t statusText) print() error {
	var out strings.Builder
	verdict := pipeline.VerdictOf(t.report)
	t.verdict(&out, verdict)
	t.table(&out)
	t.notes(&out)
	t.rest(&out)
	_, err := io.WriteString(t.to, out.String())
	return err
}

// marks are what a level looks like; the colour is never the only sign.
var marks = map[pipeline.Level]struct{ sign, colour string }{
	pipeline.LevelWell: {"✓", "32"}, pipeline.LevelNotice: {"·", "36"}, pipeline.LevelWaiting: {"!", "33"},
	pipeline.LevelWrong: {"✗", "31"},
}

func (t statusText) mark(level pipeline.Level, words string) string {
	m := marks[level]
	folded := text.Fold(words, m.sign+" ", t.columns)
	if !t.colour {
		return folded
	}
	return "\x1b[1;" + m.colour + "m" + folded + "\x1b[0m"
}

// fold prints a paragraph behind a label; the commands in it are about the instance's configuration.
func (t statusText) fold(out *strings.Builder, label, words string) {
	if words != "" {
		fmt.Fprintln(out, text.Fold(t.report.Configuration.Commands(words), label, t.columns))
	}
}

func (t statusText) verdict(out *strings.Builder, v pipeline.Verdict) {
	fmt.Fprintln(out, t.mark(v.Shown(), v.Text))
	for _, p := range v.Problems {
		lasts := ""
		if !p.Since.IsZero() {
			lasts = "for " + text.Span(t.now.Sub(p.Since))
		}
		if p.Level != v.Level || !v.Alone() { // else the verdict says it
			what := p.What
			if scope := p.Scope(); scope != "" {
				what += ", " + scope
			}
			if lasts != "" {
				what += ", " + lasts
			}
			fmt.Fprintf(out, "\n%s\n", t.mark(p.Level, what))
			lasts = ""
		}
		t.fold(out, "    ", lasts)
		t.fold(out, "    ", p.Cause)
		t.fold(out, "  → ", p.Hint)
		t.fold(out, "    ", attempt(p.NextAttempt, t.now))
		t.fold(out, "    ", "runbook: deploy/README.md, "+p.Runbook)
	}
	fmt.Fprintln(out)
}

// attempt says when something is tried again.
func attempt(at, now time.Time) string {
	if at.IsZero() {
		return ""
	}
	return fmt.Sprintf("next attempt in %s, at %s", text.Span(max(0, at.Sub(now))), text.Clock(at, now))
}

// row is what the table says of a stream.
func (t statusText) row(s pipeline.StreamReport) []string {
	next := "-"
	if at := s.Next(t.now); !at.IsZero() {
		next = text.Span(at.Sub(t.now))
	}
	newest := "-"
	if !s.NewestMessage.IsZero() {
		newest = text.Span(max(0, t.now.Sub(s.NewestMessage)))
	}
	return []string{s.Stream, s.Doing(), text.Span(t.now.Sub(s.Since)), newest, text.Thousands(s.Sequence), next}
}

// table lists the streams, the worst first.
func (t statusText) table(out *strings.Builder) {
	streams := t.report.WorstFirst()
	left := 0
	if !t.all && len(streams) > rowsShown {
		left = len(streams) - rowsShown
		streams = streams[:rowsShown]
	}
	rows := [][]string{{"STREAM", "STATE", "FOR", "NEWEST", "SEQUENCE", "NEXT"}}
	for _, s := range streams {
		rows = append(rows, t.row(s))
	}
	const gap = 2
	widths := make([]int, len(rows[0]))
	total := -gap
	for i := range widths {
		for _, row := range rows {
			widths[i] = max(widths[i], text.Width(row[i]))
		}
		total += widths[i] + gap
	}
	for _, column := range []int{1, 0} { // the state, then the name, make room
		over := max(0, total-t.columns)
		narrower := min(over, max(0, widths[column]-12))
		widths[column] -= narrower
		total -= narrower
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			cell = text.Clip(cell, widths[i])
			pad := strings.Repeat(" ", widths[i]-text.Width(cell))
			if i == 4 { // numbers stand below each other
				cell = pad + cell
			} else {
				cell += pad
			}
			line.WriteString(cell + strings.Repeat(" ", gap))
		}
		fmt.Fprintln(out, strings.TrimRight(line.String(), " "))
	}
	if left > 0 {
		t.fold(out, "", fmt.Sprintf("and %s more, none of them worse; `twochat-connector status --all` lists them",
			text.Counted(left, "stream")))
	}
}

// notes explain the numbers of the streams that have some.
func (t statusText) notes(out *strings.Builder) {
	shown, left := 0, 0
	for _, s := range t.report.WorstFirst() {
		notes := t.report.NotesOf(s)
		switch {
		case len(notes) == 0:
			continue
		case shown == explained && !t.all:
			left++
			continue
		}
		shown++
		fmt.Fprintf(out, "\n%s\n", text.Clip(s.Stream, t.columns))
		for _, n := range notes {
			t.fold(out, "  ", n.What+": "+n.Text)
			t.fold(out, "  → ", n.Hint)
		}
	}
	if left > 0 {
		fmt.Fprintf(out, "\n")
		t.fold(out, "", fmt.Sprintf("%s more have something to explain; `twochat-connector status --all` says what",
			text.Counted(left, "stream")))
	}
}

// rest is what concerns all streams.
func (t statusText) rest(out *strings.Builder) {
	r := t.report
	fmt.Fprintln(out)
	label := func(name, words string) { t.fold(out, fmt.Sprintf("%-11s", name), words) }
	label("sink", fmt.Sprintf("%s %s: %s", r.Sink.Kind, r.Sink.Address, r.Sink.Text()))
	if !r.Sink.LastCommit.IsZero() {
		label("", fmt.Sprintf("last commit %s, it took %s", text.Ago(r.Sink.LastCommit, t.now), text.Took(r.Sink.Took)))
	}
	label("replicas", r.Replicas.Text())
	if hours := r.MessagesPerHour; len(hours) > 0 {
		label("last day", text.Sparkline(hours)+"  "+text.HoursText(hours, r.Started, t.now))
	} else {
		label("last day", "no message was delivered since the start")
	}
	if failed := pipeline.FailuresText(r.FailedCalls, r.FailedCommits); failed != "" {
		label("failed", failed+", since the start")
	}
	for _, account := range r.OfAccounts() {
		rate := fmt.Sprintf("%d requests a minute, for all streams together", account.RequestsPerMinute)
		if account.Name == "" {
			label("calls", rate)
		} else {
			label("account", account.Name+": "+rate)
		}
		label("budget", account.Budget.Text)
		if a := account.Account; a != nil {
			label("used", fmt.Sprintf("%s of %s calls this month, asked %s", text.Thousands(a.CallsUsed),
				text.Thousands(a.CallsAllowed), text.Ago(a.Asked, t.now)))
		}
		if account.SweepEvery > 0 {
			label("sweeps", "late messages are searched for every "+text.Interval(account.SweepEvery))
		}
	}
	for i, c := range r.Changes[:min(len(r.Changes), changesShown)] {
		name := ""
		if i == 0 {
			name = "changes"
		}
		label(name, text.Clock(c.At, t.now)+"  "+pipeline.ChangeText(c))
	}
	label("process", fmt.Sprintf("twochat-connector %s, up %s", r.Version, text.Span(t.now.Sub(r.Started))))
}
