package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// serverLog receives the server's log lines, for debugging the server; failures also show as errors of the sink. It
// logs only the constant words from the server's own source: what the server fills in may be a subject or what a client
// sent, and so may name a chat.
type serverLog struct {
	logger *slog.Logger

	mu   sync.Mutex
	last string // fatal line
}

func (l *serverLog) line(level, format string, v []any) {
	l.logger.Debug("embedded NATS server", "server_level", level, "line", format, "values", len(v))
}

func (l *serverLog) Noticef(format string, v ...any) { l.line("info", format, v) }
func (l *serverLog) Warnf(format string, v ...any)   { l.line("warn", format, v) }
func (l *serverLog) Errorf(format string, v ...any)  { l.line("error", format, v) }
func (l *serverLog) Debugf(format string, v ...any)  { l.line("debug", format, v) }
func (l *serverLog) Tracef(format string, v ...any)  { l.line("trace", format, v) }

// Fatalf keeps the line for the error that Open returns; the server ends by itself.
func (l *serverLog) Fatalf(format string, v ...any) {
	l.mu.Lock()
	l.last = fmt.Sprintf(format, v...)
	l.mu.Unlock()
	l.line("fatal", format, v)
}

// fatal is the reason why the server ended, or the given words.
func (l *serverLog) fatal(otherwise string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last != "" {
		return errors.New(l.last)
	}
	return errors.New(otherwise)
}
