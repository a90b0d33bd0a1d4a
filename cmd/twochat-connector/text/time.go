package text

import (
	"fmt"
	"time"

	"github.com/twochat-connector/twochat-connector/config"
)

// Span writes a duration as a person would, in one unit.
func Span(d time.Duration) string {
	switch {
	case d < time.Second:
		return "less than 1 s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// Interval writes an interval as a person would, with no more digits than matter.
func Interval(d time.Duration) string {
	switch {
	case d >= time.Hour:
		d = d.Round(time.Minute)
	case d >= time.Minute:
		d = d.Round(time.Second)
	default:
		d = d.Round(100 * time.Millisecond)
	}
	return config.FormatDuration(d)
}

// Ago writes a point in time as its distance from now; a dash if the time is zero.
func Ago(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	if t.After(now.Add(time.Second)) {
		return "in " + Span(t.Sub(now))
	}
	return Span(max(0, now.Sub(t))) + " ago"
}

// Clock writes a point in time as a clock does, with the day where it is another one.
func Clock(t, now time.Time) string {
	t, now = t.UTC(), now.UTC()
	if t.Year() == now.Year() && t.YearDay() == now.YearDay() {
		return t.Format("15:04:05 UTC")
	}
	return t.Format("2006-01-02 15:04:05 UTC")
}

// Took writes how long a call took, which is often much less than a second.
func Took(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return "less than 1 ms"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
