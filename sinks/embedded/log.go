package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// serverLog takes the server's log lines, for whoever debugs the server; what goes wrong shows as an error of the sink.
// Only the words of the server's own source are logged: what it fills in may be a subject or what a client sent, and so
// name a chat.
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

// Fatalf keeps the line for the error that Open returns; the server gives up by itself.
func (l *serverLog) Fatalf(format string, v ...any) {
	l.mu.Lock()
	l.last = fmt.Sprintf(format, v...)
	l.mu.Unlock()
	l.line("fatal", format, v)
}

// fatal is why the server gave up, or the words given.
func (l *serverLog) fatal(otherwise string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last != "" {
		return errors.New(l.last)
	}
	return errors.New(otherwise)
}
