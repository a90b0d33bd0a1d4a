package text

import (
	"io"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"
	"unicode/utf8"
)

func TestSpan(t *testing.T) {
	now := time.Now()
	for d, want := range map[time.Duration]string{
		0: "less than 1 s", 90 * time.Second: "90 s", 2 * time.Minute: "2 min", 119 * time.Minute: "119 min",
		2 * time.Hour: "2 h", 72 * time.Hour: "3 days",
	} {
		if got := Span(d); got != want {
			t.Errorf("span(%v) = %q, want %q", d, got, want)
		}
	}
	if got := []string{Ago(time.Time{}, now), Ago(now.Add(-time.Hour), now), Ago(now.Add(time.Hour), now)}; !slices.Equal(
		got, []string{"-", "60 min ago", "in 60 min"}) {
		t.Errorf("ago: %q", got)
	}
	for d, want := range map[time.Duration]string{
		1500 * time.Millisecond: "1.5s", 11333 * time.Millisecond: "11.3s", 90 * time.Second: "1m30s", time.Hour: "1h",
		81233400 * time.Millisecond: "22h34m", 0: "0s",
	} {
		if got := Interval(d); got != want {
			t.Errorf("intervalText(%v) = %q, want %q", d, got, want)
		}
	}
	if got := []string{Thousands(7), Thousands(1234), Thousands(1234567)}; !slices.Equal(got,
		[]string{"7", "1,234", "1,234,567"}) {
		t.Errorf("groups: %q", got)
	}
}

func TestClip(t *testing.T) {
	for _, test := range []struct {
		text     string
		columns  int
		expected string
	}{
		{"short", 10, "short"},
		{"exactly", 7, "exactly"},
		{"too long", 5, "too …"},
		{"自転車屋", 8, "自転車屋"},
		{"自転車屋さん", 8, "自転車…"},
		{"x", 0, ""},
	} {
		got := Clip(test.text, test.columns)
		if got != test.expected || !utf8.ValidString(got) {
			t.Errorf("clip(%q, %d) = %q, expected %q", test.text, test.columns, got, test.expected)
		}
	}
}

func TestFold(t *testing.T) {
	for _, test := range []struct {
		text, first string
		columns     int
		want        string
	}{
		{"", "  → ", 20, "  → "},
		{"short", "! ", 20, "! short"},
		{"one two three four", "  → ", 14, "  → one two\n    three four"},
		{"try `a long command of it` now", "", 12, "try\n`a long command of it`\nnow"},
		{"自転車屋 自転車屋", "", 12, "自転車屋\n自転車屋"},
		{"one two", "\x1b[32m✓\x1b[0m  ", 8, "\x1b[32m✓\x1b[0m  one\n   two"},
	} {
		if got := Fold(test.text, test.first, test.columns); got != test.want {
			t.Errorf("fold(%q, %q, %d) = %q, want %q", test.text, test.first, test.columns, got, test.want)
		}
	}
}

// A line that is too wide goes on below its last column. Commands, paths and URLs stay whole.
func TestFit(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", ""},
		{"short\n\n  as it is   here", "short\n\n  as it is   here"},
		{"one two three four five\nsix\n", "one two three four\nfive\nsix\n"},
		{"  word  one two three\n", "  word  one two\n        three\n"},
		{"  → one two three four\n", "  → one two three\n    four\n"},
		{"the /a/long/path/of/a/file gone\n", "the\n/a/long/path/of/a/file\ngone\n"},
		{"run `a long command of it` now", "run\n`a long command of it`\nnow"},
		{"ab  cd  one  two three", "ab  cd  one  two\n        three"},
	} {
		if got := Fit(test.text, 18); got != test.want {
			t.Errorf("fit(%q) = %q, want %q", test.text, got, test.want)
		}
	}
}

// The width is the writer's own, or 80 where no terminal says.
func TestColumns(t *testing.T) {
	if got := []int{Columns(io.Discard), Columns(sized(50))}; !slices.Equal(got, []int{80, 50}) {
		t.Errorf("columns: %d", got)
	}
}

type sized int

func (s sized) Write(p []byte) (int, error) { return len(p), nil }
func (s sized) Columns() int                { return int(s) }

func TestSparkline(t *testing.T) {
	counts := []uint32{0, 1, 50, 100}
	if got := Sparkline(counts); got != "·▁▄█" {
		t.Errorf("it draws %s", got)
	}
	if got := Sparkline(nil); got != "" {
		t.Errorf("of nothing it draws %s", got)
	}
	now := time.Date(2026, 1, 31, 3, 12, 0, 0, time.UTC)
	for want, counts := range map[string][]uint32{
		"no messages": {0, 0},
		"151 messages in 4 hours, 100 of them since 03:00 UTC":                                  counts,
		"7 messages in 2 hours, 2 of them since 03:00 UTC; the most in an hour was 5, at 02:00": {5, 2},
	} {
		if got := HoursText(counts, now.Add(-72*time.Hour), now); got != want {
			t.Errorf("hours of %v: %q, want %q", counts, got, want)
		}
	}
}

// What was delivered before the start of the process is not known, so a younger process does not speak of a whole day.
func TestHoursText_SinceTheStart(t *testing.T) {
	now := time.Date(2026, 1, 31, 3, 12, 0, 0, time.UTC)
	counts := []uint32{0, 0, 51, 100}
	for ago, want := range map[time.Duration]string{
		5 * time.Minute: "151 messages since the start at 03:07:00 UTC",
		2 * time.Hour:   "151 messages since the start at 01:12:00 UTC, 100 of them since 03:00 UTC",
		9 * time.Hour:   "151 messages in 4 hours, 100 of them since 03:00 UTC",
	} {
		if got := HoursText(counts, now.Add(-ago), now); got != want {
			t.Errorf("started %v ago: %q, want %q", ago, got, want)
		}
	}
}

func TestCounted(t *testing.T) {
	for n, want := range map[int]string{1: "1 message", 2: "2 messages", 1234: "1,234 messages"} {
		if got := Counted(n, "message"); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestClock(t *testing.T) {
	now := time.Date(2026, 1, 31, 3, 12, 0, 0, time.UTC)
	if got := Clock(now.Add(-time.Minute), now); got != "03:11:00 UTC" {
		t.Errorf("of the same day: %s", got)
	}
	if got := Clock(now.Add(-24*time.Hour), now); got != "2026-01-30 03:12:00 UTC" {
		t.Errorf("of the day before: %s", got)
	}
	for d, want := range map[time.Duration]string{
		time.Microsecond: "less than 1 ms", 3500 * time.Microsecond: "3 ms", 2340 * time.Millisecond: "2.3 s",
	} {
		if got := Took(d); got != want {
			t.Errorf("took(%v) = %q, want %q", d, got, want)
		}
	}
}

// Output thrown away is read by nobody, although the null device is a character device as a terminal is.
func TestIsTerminal_NullDevice(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("every character device counts as a terminal there")
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if IsTerminal(null) {
		t.Error("the null device counts as a terminal")
	}
}
