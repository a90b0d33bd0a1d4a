package cli

import (
	"bytes"
	"log"
	"log/slog"
)

// LibraryLine is the message under which what libraries print is logged.
const LibraryLine = "a library printed a line, which may quote what a peer sent and is not shown"

// libraryLog takes what libraries print through the standard logger. Such lines quote what a peer sent, at whatever
// level they are printed: net/http shows the beginning of what follows an answer, which may be what a customer wrote.
// So only their size is told, and their first words where those are known to be the library's own.
type libraryLog struct{ logger *slog.Logger }

// libraryWords are how lines begin that are known.
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

// LibraryLogger is for a library that wants a logger of its own.
func LibraryLogger(logger *slog.Logger) *log.Logger { return log.New(libraryLog{logger}, "", 0) }

// HearLibraries redirects the standard logger to our logger, without anything that a peer sent.
func (p *Program) HearLibraries(logger *slog.Logger) {
	if p.StandardLog != nil {
		p.StandardLog(libraryLog{logger})
	}
}
