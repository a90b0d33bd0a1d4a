package cli

import (
	"bytes"
	"log"
	"log/slog"
)

// LibraryLine is the log message that stands for a line printed by a library.
const LibraryLine = "a library printed a line; it may quote what a peer sent, and is not shown"

// libraryLog receives what libraries print through the standard logger. Such lines quote what a peer sent, at any
// level: net/http prints the beginning of what follows an answer, which may be text that a customer wrote. So only the
// size of a line is logged, and its first words if they are known to be the library's own.
type libraryLog struct{ logger *slog.Logger }

// libraryWords are the known beginnings of such lines.
var libraryWords = [...]string{
	"Unsolicited response received on idle HTTP channel",
	"http: panic serving",
	"http: TLS handshake error",
	"http: Accept error",
	"http: superfluous response.WriteHeader call",
	"http: response.Write on hijacked connection",
	"http2:",
}

func (l libraryLog) Write(line []byte) (int, error) {
	says := "unknown"
	for _, words := range libraryWords {
		if bytes.HasPrefix(line, []byte(words)) {
			says = words
			break
		}
	}
	l.logger.Debug(LibraryLine, "begins", says, "bytes", len(line))
	return len(line), nil
}

// LibraryLogger makes a logger for a library that takes one.
func LibraryLogger(logger *slog.Logger) *log.Logger { return log.New(libraryLog{logger}, "", 0) }

// HearLibraries redirects the standard logger to our logger, without what a peer sent.
func (p *Program) HearLibraries(logger *slog.Logger) {
	if p.StandardLog != nil {
		p.StandardLog(libraryLog{logger})
	}
}
