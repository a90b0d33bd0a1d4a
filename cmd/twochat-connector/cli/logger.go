package cli

import (
	"io"
	"log/slog"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/config"
)

// NewLogger makes the logger: text for a person at a terminal, JSON otherwise.
func NewLogger(p *Program, c config.Log, to io.Writer) *slog.Logger {
	return NewLeveledLogger(p, c, LogLevel(c), to)
}

// LogLevel is the configured level.
func LogLevel(c config.Log) slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		return slog.LevelInfo
	}
	return level
}

// NewLeveledLogger makes a logger whose level may change while it is in use. The commands in its hints are about the
// configuration in force.
func NewLeveledLogger(p *Program, c config.Log, level slog.Leveler, to io.Writer) *slog.Logger {
	force := p.InForce()
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Value.Kind() == slog.KindDuration { // JSON would show nanoseconds
			a.Value = slog.StringValue(config.FormatDuration(a.Value.Duration()))
		}
		if a.Key == "hint" && a.Value.Kind() == slog.KindString {
			a.Value = slog.StringValue(force.Commands(a.Value.String()))
		}
		return a
	}}
	if LogsText(c, to) {
		return slog.New(slog.NewTextHandler(foldedLines{to}, options))
	}
	return slog.New(slog.NewJSONHandler(to, options))
}

// foldedLines breaks the lines of a log for a person that are wider than the terminal. A log that goes elsewhere has one
// line a record, as programs expect.
type foldedLines struct{ to io.Writer }

// Write writes a line, which the handler writes as a whole.
func (f foldedLines) Write(line []byte) (int, error) {
	_, sized := f.to.(interface{ Columns() int })
	if columns := text.Columns(f.to); (sized || text.IsTerminal(f.to)) && text.Width(string(line)) > columns {
		if _, err := io.WriteString(f.to, text.Hang(string(line), "    ", columns)+"\n"); err != nil {
			return 0, err
		}
		return len(line), nil
	}
	return f.to.Write(line)
}

// LogsText reports whether the log is for a person.
func LogsText(c config.Log, to io.Writer) bool {
	return c.Format == "text" || c.Format == "auto" && text.IsTerminal(to)
}
