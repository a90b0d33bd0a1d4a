package admin

import (
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html"
	"html/template"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
)

var (
	//go:embed page.html
	pageSource string
	//go:embed page.css
	pageStyle string
	//go:embed page.js
	pageScript string
)

// runbookPage is where the runbook is published: at the project's home as given in the Helm chart.
const runbookPage = "https://github.com/twochat-connector/twochat-connector/blob/main/deploy/README.md"

// pagePolicy lets the page use its own style and script and call this server only, and forbids frames.
var pagePolicy = fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; img-src data:; connect-src 'self'; "+
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'", sourceHash(pageStyle), sourceHash(pageScript))

func sourceHash(source string) string {
	sum := sha256.Sum256([]byte(source))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// pageTemplate shows a pageView.
var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"ago": text.Ago, "span": text.Span, "groups": text.Thousands, "interval": text.Interval, "took": text.Took,
	"clock": text.Clock, "change": pipeline.ChangeText, "sign": signOf, "code": codeIn, "upper": upperFirst,
	"counted":   text.Counted,
	"shapeHint": func() string { return pipeline.ShapeHint },
	"stamp":     func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"share":     func(part, of int64) int64 { return min(100, 100*part/max(1, of)) },
}).Parse(pageSource))

const (
	// rowsInFull is how many streams that are not quiet the page shows, and quietRows how many quiet ones. The filter
	// finds the others, so a page for a thousand streams stays small.
	rowsInFull = 20
	quietRows  = 100
	// foldedFrom is the number of quiet streams from which they are folded.
	foldedFrom = 10
	// openRows is how many of the streams that need attention are open at first.
	openRows = 1
)

// pageView is what the page shows.
type pageView struct {
	pipeline.Report
	Verdict pipeline.Verdict
	Style   template.CSS
	Script  template.JS

	Filter   string
	Matching int
	// Rows are the streams that need attention, and Quiet those that are folded, each with how many more there are.
	Rows, Quiet                     []streamRow
	MoreRows, QuietCount, MoreQuiet int
}

// streamRow is a stream on the page.
type streamRow struct {
	pipeline.StreamReport
	Started   time.Time // of the instance
	At        time.Time
	Level     pipeline.Level
	Open      bool
	Explained []pipeline.Note
}

// WritePage writes the page of a report, with the streams whose name or state contains the filter.
func WritePage(to io.Writer, r pipeline.Report, filter string) error {
	v := pageView{
		Report: r, Verdict: pipeline.VerdictOf(r), Style: template.CSS(pageStyle), Script: template.JS(pageScript),
		Filter: filter,
	}
	v.Verdict.Level = v.Verdict.Shown()
	v.arrange()
	return pageTemplate.Execute(to, v)
}

// servePage answers with the page.
func servePage(w http.ResponseWriter, r *http.Request, report pipeline.Report) {
	var body strings.Builder
	if err := WritePage(&body, report, r.URL.Query().Get("filter")); err != nil {
		http.Error(w, "the page cannot be written", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Security-Policy", pagePolicy)
	w.Header().Set("Referrer-Policy", "no-referrer")
	answer(w, http.StatusOK, "text/html; charset=utf-8", []byte(body.String()))
}

// arrange divides the streams that match into rows and quiet ones.
func (v *pageView) arrange() {
	wanted := strings.ToLower(strings.TrimSpace(v.Filter))
	for _, s := range v.WorstFirst() {
		row := streamRow{StreamReport: s, Started: v.Started, At: v.Now, Level: levelOf(s), Explained: v.NotesOf(s)}
		if wanted != "" && !strings.Contains(strings.ToLower(s.Stream+" "+row.Doing()+" "+s.Account), wanted) {
			continue
		}
		v.Matching++
		if row.Level == pipeline.LevelWell {
			v.QuietCount++
			if len(v.Quiet) < quietRows {
				v.Quiet = append(v.Quiet, row)
			}
			continue
		}
		if len(v.Rows) == rowsInFull {
			v.MoreRows++
			continue
		}
		row.Open = len(v.Rows) < openRows
		v.Rows = append(v.Rows, row)
	}
	if v.QuietCount < foldedFrom { // so few are not worth folding
		for i := range v.Quiet {
			v.Quiet[i].Open = len(v.Streams) == 1
		}
		v.Rows, v.Quiet, v.QuietCount = append(v.Rows, v.Quiet...), nil, 0
	}
	v.MoreQuiet = v.QuietCount - len(v.Quiet)
}

// levelOf is how much attention a stream needs.
func levelOf(s pipeline.StreamReport) pipeline.Level {
	return []pipeline.Level{
		pipeline.LevelWrong, pipeline.LevelWaiting, pipeline.LevelNotice, pipeline.LevelWell,
	}[s.Rank()]
}

// Spoken is the verdict for a screen reader, without anything that changes all the time.
func (v pageView) Spoken() string {
	switch v.Verdict.Level {
	case pipeline.LevelWell:
		return "All is well"
	case pipeline.LevelNotice:
		return "Delivery works; something is to be looked at"
	}
	return upperFirst(v.Verdict.Text)
}

// Failing is the number of problems, for the page's title.
func (v pageView) Failing() string {
	n := 0
	for _, p := range v.Verdict.Problems {
		if p.Level == pipeline.LevelWrong || p.Level == pipeline.LevelWaiting {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return text.Counted(n, "problem")
}

// SinkLevel is the state of the sink alone.
func (v pageView) SinkLevel() pipeline.Level {
	switch v.Sink.State {
	case pipeline.SinkWell:
		return pipeline.LevelWell
	case pipeline.SinkSlow:
		return pipeline.LevelWaiting
	}
	return pipeline.LevelWrong
}

// RunbookURL is the address of a section of the runbook.
func (pageView) RunbookURL(section string) string {
	return runbookPage + "#" + strings.ToLower(section)
}

// failure is a row of the failed calls.
type failure struct {
	What  string
	N     uint64
	Width uint64 // of its bar, up to 100
}

// Failures are the failed calls by cause, the most frequent first.
func (v pageView) Failures() []failure {
	var list []failure
	for what, n := range pipeline.Failures(v.FailedCalls, v.FailedCommits) {
		list = append(list, failure{What: what, N: n})
	}
	slices.SortFunc(list, func(a, b failure) int { return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.What, b.What)) })
	for i := range list {
		list[i].Width = max(1, 100*list[i].N/list[0].N)
	}
	return list
}

// Happening is what the stream waits for, in a few words.
func (s streamRow) Happening() string { return pipeline.Happening(s.Status) }

// NextIn is the time until the stream does something by itself; empty if that is now.
func (s streamRow) NextIn() string {
	at := s.Next(s.At)
	if at.IsZero() {
		return ""
	}
	return text.Span(at.Sub(s.At))
}

// Tags are the stream's figures that its notes explain.
func (s streamRow) Tags() []string {
	var tags []string
	for _, n := range s.Explained {
		if n.Number > 0 {
			tags = append(tags, n.What)
		}
	}
	return tags
}

// Share is how many percent of a catch-up are done; 0 if that is not known.
func (s streamRow) Share() int { return int(100 * s.CatchUp.Share()) }

// Day is the chart of all streams' messages.
func (v pageView) Day() *chart {
	c := chartOf(v.MessagesPerHour, v.Started, v.Now)
	if c != nil {
		first := v.Now.UTC().Truncate(time.Hour).Add(-time.Duration(len(v.MessagesPerHour)-1) * time.Hour)
		c.Axis = []string{first.Format("15:04"), first.Add(12 * time.Hour).Format("15:04"), "now (UTC)"}
	}
	return c
}

// Day is the chart of the stream's messages.
func (s streamRow) Day() *chart { return chartOf(s.MessagesPerHour, s.Started, s.At) }

// chart is a chart of counts by the hour.
type chart struct {
	Width, Height int
	Bars          []bar
	Axis          []string
	Text          string // the same in words
}

type bar struct {
	X, Y, Width, Height int
	Now                 bool // the current hour
	Title               string
}

const barWidth, barGap, chartHeight = 8, 2, 48

// chartOf draws counts; nil if there are none.
func chartOf(counts []uint32, started, now time.Time) *chart {
	if len(counts) == 0 {
		return nil
	}
	c := &chart{
		Width: len(counts)*(barWidth+barGap) - barGap, Height: chartHeight, Text: text.HoursText(counts, started, now),
	}
	most := max(1, slices.Max(counts))
	for i, n := range counts {
		height := int(uint64(n) * chartHeight / uint64(most))
		if n > 0 {
			height = max(2, height)
		}
		hour := now.UTC().Truncate(time.Hour).Add(-time.Duration(len(counts)-1-i) * time.Hour)
		c.Bars = append(c.Bars, bar{
			X: i * (barWidth + barGap), Y: chartHeight - height, Width: barWidth, Height: height, Now: i == len(counts)-1,
			Title: fmt.Sprintf("%s UTC: %s messages", hour.Format("15:04"), text.Thousands(n)),
		})
	}
	return c
}

// signOf is the symbol of a level, shown in addition to its colour.
func signOf(level pipeline.Level) string {
	switch level {
	case pipeline.LevelWrong:
		return "✗"
	case pipeline.LevelWaiting:
		return "!"
	case pipeline.LevelNotice:
		return "•"
	}
	return "✓"
}

// upperFirst makes the first letter upper case.
func upperFirst(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:]
}

// codeIn marks text between backticks as code.
func codeIn(text string) template.HTML {
	var out strings.Builder
	for i, part := range strings.Split(text, "`") {
		part = html.EscapeString(part)
		if i%2 == 1 {
			part = "<code>" + part + "</code>"
		}
		out.WriteString(part)
	}
	return template.HTML(out.String())
}
