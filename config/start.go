package config

import (
	"errors"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// StartMode is a kind of Start.
type StartMode string

// The kinds of Start.
const (
	StartNow       StartMode = "now"
	StartBeginning StartMode = "beginning"
	StartAge       StartMode = "age"
	StartTime      StartMode = "time"
)

// Start is what the first start of a stream delivers. Later starts ignore it.
type Start struct {
	Mode StartMode
	Age  time.Duration // of StartAge
	Time time.Time     // of StartTime
}

var errStart = errors.New("now, beginning, an age such as 24h, or a time such as 2026-01-31T00:00:00Z")

// ParseStart reads the four forms. Its error is what is expected, and does not quote the text.
func ParseStart(text string) (Start, error) {
	switch StartMode(text) {
	case StartNow, StartBeginning:
		return Start{Mode: StartMode(text)}, nil
	}
	if age, err := time.ParseDuration(text); err == nil && age > 0 {
		return Start{Mode: StartAge, Age: age}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return Start{Mode: StartTime, Time: t.UTC()}, nil
	}
	return Start{}, errStart
}

// At is the meaning of the start for a stream that starts for the first time at now.
func (s Start) At(now time.Time) connector.Start {
	switch s.Mode {
	case StartBeginning:
		return connector.Start{Beginning: true}
	case StartAge:
		return connector.Start{Since: now.Add(-s.Age)}
	case StartTime:
		return connector.Start{Since: s.Time}
	}
	return connector.Start{}
}

// UnmarshalText is ParseStart.
func (s *Start) UnmarshalText(text []byte) error {
	start, err := ParseStart(string(text))
	if err == nil {
		*s = start
	}
	return err
}

// String is the form that ParseStart reads.
func (s Start) String() string {
	switch s.Mode {
	case StartAge:
		return FormatDuration(s.Age)
	case StartTime:
		return s.Time.Format(time.RFC3339Nano)
	}
	return string(s.Mode)
}

// MarshalText is String.
func (s Start) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
