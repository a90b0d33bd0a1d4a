package demo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/poller"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// view is what a person sees of the demo.
type view struct {
	out    io.Writer
	json   bool
	colour bool
	began  time.Time

	mu     sync.Mutex
	burst  int       // events within the second that began at burstAt
	since  time.Time // when that second began
	folded int       // events of the burst that were not shown
	bursts [2]string // the newest two of those, for the end of the burst
	err    error     // from writing
}

func newView(p *cli.Program, asJSON bool) *view {
	noColour := slices.ContainsFunc(p.Env, func(entry string) bool {
		name, value, _ := strings.Cut(entry, "=")
		return name == "NO_COLOR" && value != "" || name == "TERM" && value == "dumb"
	})
	return &view{out: p.Out, json: asJSON, colour: !noColour && text.IsTerminal(p.Out), began: time.Now()}
}

// style is a text style, as a terminal's codes.
type style string

const (
	plainStyle  style = ""
	dimStyle    style = "2"
	boldStyle   style = "1"
	lateStyle   style = "1;33"
	fineStyle   style = "1;32"
	wrongStyle  style = "1;31"
	arrivedHere style = "36"
)

// chatStyles distinguish chats.
var chatStyles = [...]style{"31", "32", "33", "34", "35", "36", "91", "92", "94", "95"}

func (v *view) paint(s style, said string) string {
	if !v.colour || s == plainStyle {
		return said
	}
	return "\x1b[" + string(s) + "m" + said + "\x1b[0m"
}

func (v *view) print(format string, args ...any) {
	if _, err := fmt.Fprintf(v.out, format, args...); err != nil && v.err == nil {
		v.err = err
	}
}

// begin prints where to look.
func (v *view) begin(d *Demo) {
	if v.json {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	sink := "a real NATS JetStream"
	if d.target.url != "" {
		sink = "your sink"
	}
	v.print("A fake 2Chat of a bicycle shop, the real connector, %s. Seed %d.\n", sink, d.options.Seed)
	row := func(name, value string) { v.print("  %s  %s\n", v.paint(dimStyle, fmt.Sprintf("%-10s", name)), value) }
	for _, place := range d.target.places() {
		row(place[0], place[1])
	}
	if d.target.url != "" {
		row("source", connector.Stream{Name: d.target.stream}.Source())
	}
	row("admin page", d.admin.URL())
	row("metrics", d.admin.URL()+"/metrics")
	v.print("\n")
	v.legend()
	v.print("\n")
}

// legend explains the lines.
func (v *view) legend() {
	colour := ""
	if v.colour {
		colour = ", in a colour of its own"
	}
	v.print("%s\n", v.paint(dimStyle, "time, place in the log, direction, chat"+colour+", what was said:"))
	v.print("  %s from a customer   → from the shop   · unknown\n", v.paint(arrivedHere, "←"))
	v.print("  %s  listed below newer messages after those were delivered, because 2Chat was slow\n", v.paint(lateStyle, "LATE"))
	v.print("  %s    what the connector did, and which wrong answers it survived\n", v.paint(dimStyle, "──"))
}

// event shows one event. In a burst, only the first and the last events are shown.
func (v *view) event(event []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.json {
		var line bytes.Buffer
		if err := json.Compact(&line, event); err != nil { // 2Chat's items may have line breaks between their tokens
			return fmt.Errorf("show an event: %w", err)
		}
		v.print("%s\n", line.Bytes())
		return v.err
	}
	now := time.Now()
	if now.Sub(v.since) > burstSpan {
		v.unfold()
		v.burst, v.since = 0, now
	}
	line := v.line(event)
	if v.burst++; v.burst <= burstShown {
		v.print("%s\n", line)
		return v.err
	}
	v.since = now
	v.folded++
	v.bursts[0], v.bursts[1] = v.bursts[1], line
	return v.err
}

const (
	// burstShown is how many events within burstSpan are shown in full.
	burstShown = 16
	burstSpan  = 250 * time.Millisecond
)

// pause ends a burst after a moment without events.
func (v *view) pause() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if time.Since(v.since) > burstSpan {
		v.unfold()
	}
}

// unfold ends a burst.
func (v *view) unfold() {
	if hidden := v.folded - len(v.bursts); hidden > 0 {
		v.print("%s\n", v.paint(dimStyle, fmt.Sprintf("%9s … %d more of this burst …", "", hidden)))
	}
	for i, line := range v.bursts {
		if len(v.bursts)-i <= v.folded {
			v.print("%s\n", line)
		}
		v.bursts[i] = ""
	}
	v.folded = 0
}

// line is an event on one line of the terminal.
func (v *view) line(event []byte) string {
	var e struct {
		Type, Subject, Sequence string
		RecordedTime            time.Time
		Late                    bool
		Data                    struct {
			Message    json.RawMessage
			Kind, Text string // of a row
		}
	}
	// Members that cannot be read stay empty, so that the line is shown all the same.
	_ = json.Unmarshal(event, &e)
	arrow, arrowStyle := "·", dimStyle
	switch {
	case strings.HasSuffix(e.Type, "."+connector.DirectionReceived):
		arrow, arrowStyle = "←", arrivedHere
	case strings.HasSuffix(e.Type, "."+connector.DirectionSent):
		arrow = "→"
	}
	chat := text.Printable(e.Subject)
	chat = chat[:min(6, len(chat))]
	sum := fnv.New32a()
	_, _ = io.WriteString(sum, chat)
	mark, markWidth := "", 0
	if e.Late {
		mark, markWidth = " "+v.paint(lateStyle, "LATE"), len(" LATE")
	}
	kind, said := content(e.Data.Message)
	if e.Data.Kind != "" {
		kind, said = text.Printable(e.Data.Kind), e.Data.Text
		if kind == "text" {
			kind = ""
		}
	}
	left := text.TerminalWidth(v.out) - len("hh:mm:ss  #12345  ← abcdef  ") - markWidth
	if kind != "" {
		kind = text.Clip("["+kind+"]", left)
		left -= text.Width(kind) + 1
		kind = v.paint(dimStyle, kind)
		if said != "" {
			kind += " "
		}
	}
	return fmt.Sprintf("%s  %6s  %s %s  %s%s%s", v.paint(dimStyle, e.RecordedTime.Local().Format("15:04:05")),
		"#"+strings.TrimLeft(e.Sequence, "0"), v.paint(arrowStyle, arrow),
		v.paint(chatStyles[int(sum.Sum32()%uint32(len(chatStyles)))], chat),
		kind, text.Clip(text.Printable(said), left), mark)
}

// content describes a message: its kind, if it is more than a text, and its text.
func content(message json.RawMessage) (kind, said string) {
	var m struct {
		Text   string
		Media  struct{ Type string }
		Order  json.RawMessage
		Quoted json.RawMessage `json:"quoted_msg"`
	}
	if json.Unmarshal(message, &said) == nil && said != "" {
		return "", said
	}
	_ = json.Unmarshal(message, &m) // a member of an unexpected type stays empty
	switch kind = text.Printable(m.Media.Type); {
	case kind == "ptt":
		kind = "voice note"
	case kind == "vcard":
		kind = "contact card"
	case kind != "":
	case m.Order != nil:
		kind = "order"
	case m.Quoted != nil:
		kind = "reply"
	case m.Text == "":
		kind = "nothing in it"
	}
	return kind, m.Text
}

// progress prints what the connector has done so far.
func (v *view) progress(s poller.Status, fake *twochattest.Fake) {
	if v.json {
		return
	}
	faults := fake.Faults()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.unfold()
	said := fmt.Sprintf("%s, %d of them late; %s, %d answered wrongly", text.Counted(int(s.Delivered), "event"),
		s.Counters.Late,
		text.Counted(fake.Requests(), "request"), sum(faults))
	if list := commonest(faults); list != "" {
		said += " (" + list + ")"
	}
	v.print("%s\n", v.paint(dimStyle, text.Clip("── "+said, text.TerminalWidth(v.out))))
}

// burstComes announces that many events are about to come at once.
func (v *view) burstComes() {
	if v.json {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.print("%s\n", v.paint(dimStyle, text.Clip(
		fmt.Sprintf("── %d messages arrive at once, more than two pages of the list", demoBurstSize),
		text.TerminalWidth(v.out))))
}

func sum(counts map[string]int) int {
	all := 0
	for _, n := range counts {
		all += n
	}
	return all
}

// commonest lists the faults in words, the most frequent first.
func commonest(faults map[string]int) string {
	words := make(map[string]int, len(faults))
	for fault, count := range faults {
		words[faultWords(fault)] += count
	}
	names := make([]string, 0, len(words))
	for name := range words {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if words[a] != words[b] {
			return words[b] - words[a]
		}
		return strings.Compare(a, b)
	})
	return strings.Join(names, ", ")
}

// faultWords describes a fault of the fake on a line.
func faultWords(fault string) string {
	if status, ok := strings.CutPrefix(fault, "status "); ok {
		code, _, _ := strings.Cut(status, " ")
		return "HTTP " + code
	}
	switch twochattest.Kind(fault) {
	case twochattest.KindTruncated, twochattest.KindLuckyCut:
		return "cut off"
	case twochattest.KindHTML:
		return "a web page"
	case twochattest.KindReset:
		return "connection reset"
	case twochattest.KindWrongEcho:
		return "wrong page"
	}
	return fault
}

// quiet announces the end.
func (v *view) quiet() {
	if v.json {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.unfold()
	v.print("\n%s\n", v.paint(dimStyle, text.Clip("The fake stands still now; waiting for the connector to come to rest.",
		text.TerminalWidth(v.out))))
}

// end prints the audit.
func (v *view) end(r Result, t *target) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.summarise(r, t)
	return v.err
}

func (v *view) summarise(r Result, t *target) {
	if v.json {
		line, err := json.Marshal(struct {
			Summary Result `json:"summary"`
		}{r})
		if err == nil {
			v.print("%s\n", line)
		}
		return
	}
	v.unfold()
	v.print("\n%s\n", v.paint(boldStyle, t.reader()+" and compared with what was listed:"))
	for _, fact := range []struct {
		name  string
		count int
	}{
		{"lost", r.Lost},
		{"doubled", r.Doubled},
		{"out of order", r.OutOfOrder},
		{"gaps in the sequence", r.Gaps},
		{"changed or invented", r.Changed},
	} {
		style := fineStyle
		if fact.count > 0 {
			style = wrongStyle
		}
		v.print("  %s  %s\n", v.paint(style, fmt.Sprintf("%6d", fact.count)), fact.name)
	}
	v.print("  %6d  messages listed at the end\n", r.Listed)
	v.print("  %6d  events, of which %d came late and are marked late\n", r.Events, r.Late)
	if gone := r.Events - r.Listed + r.Lost; gone > 0 {
		v.print("  %6d  of their messages were deleted later\n", gone)
	}
	if r.Quarantined > 0 {
		v.print("  %6d  unreadable items, in the quarantine\n", r.Quarantined)
	}
	v.print("  %6d  requests in %.0f s, %d of them answered wrongly\n", r.Requests, r.Seconds, r.Faults)
	for _, example := range r.Examples {
		v.print("          %s\n", example)
	}
	switch {
	case !r.Settled:
		v.print("%s\n", v.paint(wrongStyle,
			fmt.Sprintf("The connector did not come to rest within %v. Use seed %d to reproduce it.", demoRest, r.Seed)))
	case r.Wrong():
		v.print("%s\n", v.paint(wrongStyle, fmt.Sprintf("The promise was broken. Please report it, with seed %d.", r.Seed)))
	default:
		v.print("%s\n", v.paint(fineStyle, "Each message is there once, in order."))
	}
	if tail := t.tail(); tail != "" {
		v.print("The events stay there; this command shows them:\n  %s\n", tail)
	}
}
