package backfill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/poller"
)

// view shows the progress of a backfill: a bar at a terminal, log lines elsewhere. Log lines are written through it, so
// that they appear above the bar.
type view struct {
	out      io.Writer
	terminal bool
	stream   string
	file     string // that takes the history, if it has its own
	logger   *slog.Logger
	extent   extent
	done     bool

	mu       sync.Mutex
	line     string // the bar as shown
	began    time.Time
	first    uint64 // events that were there at the beginning
	known    bool
	sequence uint64
	calls    int
	written  time.Time // time of the last log line
	told     string    // the wait that was last logged
	seen     time.Time // when the progress was last shown
}

func newView(out io.Writer, stream string) *view {
	return &view{out: out, terminal: text.IsTerminal(out), stream: stream}
}

const (
	// logEvery is how often the progress is logged, and logHeldEvery how often it is logged that there is none.
	logEvery     = 10 * time.Second
	logHeldEvery = 5 * time.Minute
)

// Write implements io.Writer for the log.
func (v *view) Write(line []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.erase()
	n, err := v.out.Write(line)
	v.draw()
	return n, err
}

func (v *view) erase() {
	if v.line != "" {
		fmt.Fprint(v.out, "\r\x1b[K")
	}
}

func (v *view) draw() {
	if v.line != "" {
		fmt.Fprint(v.out, v.line)
	}
}

// close leaves the bar on the screen.
func (v *view) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.line != "" {
		fmt.Fprintln(v.out)
		v.line = ""
	}
}

// begin records that reading begins.
func (v *view) begin() {
	v.mu.Lock()
	v.began = time.Now()
	v.written, v.seen = v.began, v.began
	v.mu.Unlock()
	if !v.terminal {
		v.logger.Info("backfill begins", "stream", v.stream, "messages_about", v.extent.Messages, "calls_at_least",
			v.extent.Calls, "calls_at_most", v.extent.CallsMost)
	}
}

// measuring shows that the amount is being measured.
func (v *view) measuring(calls int, perMinute float64, held waitReason) {
	now := time.Now()
	v.mu.Lock()
	if v.terminal {
		v.redraw(progress{stream: v.stream, measuring: true, calls: calls, perMinute: perMinute, held: held})
		v.mu.Unlock()
		return
	}
	due := v.due(now, held)
	v.mu.Unlock()
	if due {
		v.log(held, "phase", "measuring how much there is", "stream", v.stream, "calls", calls, "calls_per_minute_at_most",
			int(perMinute))
	}
}

// show shows the progress.
func (v *view) show(status poller.Status, calls int, held waitReason) {
	now := time.Now()
	held = heldIn(status, held, now)
	v.mu.Lock()
	v.calls = calls
	if status.Owned || status.Sequence > 0 {
		v.sequence = max(v.sequence, status.Sequence)
		if !v.known {
			v.first, v.known = status.Sequence-min(status.Sequence, status.Delivered), true
		}
	}
	if held.word == heldByCredits { // it has no rate then
		v.began = v.began.Add(now.Sub(v.seen))
	}
	v.seen = now
	speed, left := v.pace(now)
	p := progress{
		stream: v.stream, done: v.done, sequence: v.sequence, total: max(uint64(v.extent.Messages), v.sequence),
		begun: v.sequence > v.first, calls: calls,
		speed: speed, left: left, held: held,
	}
	if v.terminal {
		v.redraw(p)
		v.mu.Unlock()
		return
	}
	due := v.due(now, held)
	v.mu.Unlock()
	if !due {
		return
	}
	args := []any{
		"stream", v.stream, "messages", p.sequence, "messages_about", p.total, "calls", calls, "messages_per_second",
		fmt.Sprintf("%.1f", speed),
	}
	if left > 0 {
		args = append(args, "left_about", left.Round(time.Second))
	}
	v.log(held, args...)
}

// redraw draws the bar if it has changed.
func (v *view) redraw(p progress) {
	line := p.bar(text.TerminalWidth(v.out) - 1)
	if line == v.line {
		return
	}
	v.erase()
	v.line = line
	v.draw()
}

// due reports whether to write a log line: at once if something else holds it up than before, otherwise now and then.
func (v *view) due(now time.Time, held waitReason) bool {
	every := logEvery
	switch held.word {
	case "":
	case v.told:
		every = logHeldEvery
	default:
		every, v.told = 0, held.word
	}
	if now.Sub(v.written) < every {
		return false
	}
	v.written = now
	return true
}

// log writes a log line, with what holds up the backfill.
func (v *view) log(held waitReason, args ...any) {
	if held.word == "" {
		v.logger.Info("backfill", args...)
		return
	}
	args = append(args, "held", held.word, "cause", held.cause)
	if held.hint != "" {
		args = append(args, "hint", held.hint)
	}
	v.logger.Warn("backfill waits; it goes on by itself", args...)
}

// pace is how many messages a second came into the sink so far, and about how long the rest takes; 0 if unknown.
func (v *view) pace(now time.Time) (speed float64, left time.Duration) {
	took := now.Sub(v.began).Seconds()
	if took <= 0 || v.sequence <= v.first {
		return 0, 0
	}
	speed = float64(v.sequence-v.first) / took
	if rest := v.extent.Messages - int(v.sequence); rest > 0 {
		left = time.Duration(float64(rest) / speed * float64(time.Second))
	}
	return speed, left
}

// Summary is the result of a backfill.
type Summary struct {
	Stream string `json:"stream"`
	// Done means that all of the history is in the sink and certified.
	Done      bool    `json:"done"`
	File      string  `json:"file,omitempty"` // that holds the stream, if it has its own
	DryRun    bool    `json:"dry_run,omitempty"`
	Delivered uint64  `json:"delivered"` // by this run
	Messages  uint64  `json:"messages"`  // in the stream
	Calls     int     `json:"calls"`
	Seconds   float64 `json:"seconds"`
	About     *extent `json:"about,omitempty"`
}

// target is where the history is written, for a person.
func (v *view) target() string {
	if v.file == "" {
		return v.stream
	}
	return v.stream + " in the file " + v.file
}

// ended prints the result, or returns an error.
func (b *Engine) ended(ctx context.Context, err error) error {
	b.view.close()
	stopped := ctx.Err() != nil
	if err != nil && !(stopped && errors.Is(err, context.Canceled)) {
		var with *cli.HintedError
		var refusal *connector.Refusal
		if errors.As(err, &with) || errors.As(err, &refusal) {
			return err
		}
		return cli.Hinted(err, "the same command continues where it stopped")
	}
	v := b.view
	s := Summary{
		Stream: v.stream, File: v.file, Done: v.done, Delivered: v.sequence - v.first, Messages: v.sequence,
		Calls:   b.spare.pages.made(),
		Seconds: time.Since(b.began).Round(time.Millisecond).Seconds(),
	}
	said := fmt.Sprintf("%s messages delivered to stream %s in %s, with %s calls (credits).", text.Thousands(s.Delivered),
		v.target(), text.Span(time.Since(b.began)), text.Thousands(s.Calls))
	switch {
	case s.Done && s.Delivered < s.Messages:
		said = fmt.Sprintf("All of the history is in the sink: %s messages. %s", text.Thousands(s.Messages), said)
	case s.Done:
		said = "All of the history is in the sink. " + said
	default:
		said = fmt.Sprintf("Stopped before the end. %s The same command continues from there.", said)
	}
	return b.print(s, said)
}

// printDry prints what a run would cost.
func (b *Engine) printDry() error {
	b.view.close()
	about := b.extent
	s := Summary{
		Stream: b.view.stream, File: b.view.file, DryRun: true, Calls: b.spare.pages.made(),
		Seconds: time.Since(b.began).Round(time.Millisecond).Seconds(), About: &about,
	}
	return b.print(s, fmt.Sprintf("About %s messages on %s pages would go to stream %s, which takes %s to %s calls (credits): the fewest if nothing comes in, the most if the list changes all the time. This estimate took %s.",
		text.Thousands(about.Messages), text.Thousands(about.Pages), b.view.target(), text.Thousands(about.Calls),
		text.Thousands(about.CallsMost), text.Thousands(s.Calls)))
}

func (b *Engine) print(s Summary, said string) error {
	if b.json {
		return cli.PrintJSON(b.program.Out, s)
	}
	return b.program.Print(said + "\n")
}
