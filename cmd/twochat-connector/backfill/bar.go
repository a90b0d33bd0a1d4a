package backfill

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
)

// progress is how far a backfill is, for its progress bar.
type progress struct {
	stream          string
	measuring       bool // how much there is is not known yet
	done            bool
	sequence, total uint64
	begun           bool // something came into the sink
	calls           int
	perMinute       float64 // calls that the rate limit allows, while measuring
	speed           float64 // messages a second; 0 if unknown
	left            time.Duration
	held            waitReason
}

// barStyle is how verbose a progress bar is.
type barStyle struct {
	name   bool
	blocks int
	amount string                // format of the delivered and the total number of messages
	count  func(n uint64) string // format of a number
	goesOn string                // what is added to a wait
}

// barStyles go from a wide terminal to a narrow one; the first that fits is taken.
var barStyles = []barStyle{
	{true, 24, "%s of about %s messages", exactly, ", then goes on by itself"},
	{true, 12, "%s/%s messages", exactly, ", then goes on by itself"},
	{false, 12, "%s/%s messages", exactly, ", then goes on by itself"},
	{false, 6, "%s/%s messages", exactly, ", then goes on"},
	{false, 0, "%s/%s messages", exactly, ", then goes on"},
	{false, 0, "%s/%s messages", briefly, ", then goes on"},
	{false, 0, "%s/%s", briefly, ", then goes on"},
}

// barPart is a part of a bar. If no style fits, the part with the highest rank is dropped first.
type barPart struct {
	rank int
	text string
}

// bar is the progress bar for a terminal with this many columns; view.go draws it. It is never cut within a part, unless not even the
// first part fits.
func (p progress) bar(columns int) string {
	var parts []barPart
	for _, style := range barStyles {
		parts = p.parts(style)
		if line := joinParts(parts); text.Width(line) <= columns {
			return line
		}
	}
	for len(parts) > 1 && text.Width(joinParts(parts)) > columns {
		least := slices.MaxFunc(parts, func(a, b barPart) int { return a.rank - b.rank })
		parts = slices.DeleteFunc(parts, func(part barPart) bool { return part == least })
	}
	return text.Clip(joinParts(parts), columns)
}

func joinParts(parts []barPart) string {
	texts := make([]string, len(parts))
	for i := range parts {
		texts[i] = parts[i].text
	}
	return strings.Join(texts, " · ")
}

// parts are the parts of a bar, in their order.
func (p progress) parts(style barStyle) []barPart {
	parts := []barPart{{0, p.share(style)}}
	switch {
	case p.measuring:
	case p.done:
		parts = append(parts, barPart{2, style.count(p.sequence) + " messages"})
	default:
		parts = append(parts, barPart{2, fmt.Sprintf(style.amount, style.count(p.sequence), style.count(p.total))})
	}
	if p.speed > 0 && p.held.word == "" {
		parts = append(parts, barPart{4, speedText(p.speed) + "/s"})
	}
	parts = append(parts, barPart{5, style.count(uint64(p.calls)) + " credits"})
	switch {
	case p.done:
	case p.held.word != "":
		parts = append(parts, barPart{1, p.held.word + style.goesOn})
	case p.measuring:
		parts = append(parts, barPart{6, fmt.Sprintf("at most %.0f calls a minute", p.perMinute)})
	case !p.begun:
		parts = append(parts, barPart{3, "looking for the beginning"})
	case p.left > 0:
		parts = append(parts, barPart{3, text.Span(p.left) + " left"})
	}
	return parts
}

// share is the first part: how much of the history is delivered.
func (p progress) share(style barStyle) string {
	name := ""
	if style.name {
		name = p.stream + " "
	}
	if p.measuring {
		return name + "measuring"
	}
	share := min(1, float64(p.sequence)/float64(max(p.total, 1)))
	if p.done {
		share = 1
	}
	full := int(share * float64(style.blocks))
	blocks := strings.Repeat("█", full) + strings.Repeat("░", style.blocks-full)
	if blocks != "" {
		blocks += " "
	}
	return fmt.Sprintf("%s%s%3d%%", name, blocks, int(share*100))
}

// speedText is a speed with the digits that matter.
func speedText(speed float64) string {
	if speed < 10 {
		return fmt.Sprintf("%.1f", speed)
	}
	return text.Thousands(uint64(speed))
}

func exactly(n uint64) string { return text.Thousands(n) }

// briefly is a number in at most five characters, up to a thousand millions.
func briefly(n uint64) string {
	switch {
	case n < 10_000:
		return text.Thousands(n)
	case n < 1_000_000:
		return fmt.Sprintf("%dk", n/1000)
	case n < 100_000_000:
		return fmt.Sprintf("%d.%dM", n/1_000_000, n/100_000%10)
	}
	return fmt.Sprintf("%dM", n/1_000_000)
}
