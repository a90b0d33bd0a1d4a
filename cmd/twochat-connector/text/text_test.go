package text

import (
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
