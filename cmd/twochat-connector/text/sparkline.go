package text

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Sparkline draws counts as a line of small bars. The smallest bar is for any count above 0, a dot for none.
func Sparkline(counts []uint32) string {
	bars := []rune("▁▂▃▄▅▆▇█")
	most := slices.Max(append(counts[:len(counts):len(counts)], 1))
	var line strings.Builder
	for _, n := range counts {
		if n == 0 {
			line.WriteRune('·')
			continue
		}
		line.WriteRune(bars[(uint64(n)*uint64(len(bars))-1)/uint64(most)])
	}
	return line.String()
}

// HoursText says what the chart of messages in each hour shows. The last hour is the one under way. What was delivered
// before the start is not counted, which is said if the start is within these hours.
func HoursText(counts []uint32, started, now time.Time) string {
	var sum uint64
	most := 0
	for i, n := range counts {
		sum += uint64(n)
		if n > counts[most] {
			most = i
		}
	}
	if sum == 0 {
		return "no messages"
	}
	hour := now.UTC().Truncate(time.Hour)
	noun := "messages"
	if sum == 1 {
		noun = "message"
	}
	said := fmt.Sprintf("%s %s in %d hours", Thousands(sum), noun, len(counts))
	if started.After(hour.Add(-time.Duration(len(counts)-1) * time.Hour)) {
		said = fmt.Sprintf("%s %s since the start at %s", Thousands(sum), noun, Clock(started, now))
	}
	if !started.After(hour) {
		said += fmt.Sprintf(", %s of them since %s UTC", Thousands(counts[len(counts)-1]), hour.Format("15:04"))
	}
	if ago := len(counts) - 1 - most; ago > 0 {
		said += fmt.Sprintf("; the most in an hour was %s, at %s", Thousands(counts[most]),
			hour.Add(-time.Duration(ago)*time.Hour).Format("15:04"))
	}
	return said
}
