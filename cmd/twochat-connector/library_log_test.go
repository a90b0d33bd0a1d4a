package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// What libraries print shows nothing that a peer sent, and nothing at all above debug.
func TestLibraryLog(t *testing.T) {
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo} {
		var out bytes.Buffer
		logger := cli.LibraryLogger(slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: level})))
		logger.Printf("Unsolicited response received on idle HTTP channel starting with %q; err=%v", "secret text", io.EOF)
		logger.Print("secret text\nHTTP of +15550101234")
		text := out.String()
		if strings.Contains(text, "secret") || strings.Contains(text, "1555") {
			t.Errorf("what a peer sent is shown: %s", text)
		}
		switch lines := strings.Count(text, "\n"); {
		case level == slog.LevelInfo && lines != 0:
			t.Errorf("above debug, %d lines are shown: %s", lines, text)
		case level == slog.LevelDebug && (lines != 2 ||
			!strings.Contains(text, `"begins":"Unsolicited response received on idle HTTP channel"`)):
			t.Errorf("at debug, %d lines are shown: %s", lines, text)
		}
	}
}

// tailing answers as the fake does, with extra bytes after every answer.
func tailing(t *testing.T, fake *twochattest.Fake, tail string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, err := fake.Transport().RoundTrip(r)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		body, _ := io.ReadAll(answer.Body)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer conn.Close()
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			answer.StatusCode, len(body), body)
		_, _ = io.WriteString(conn, tail)
		_, _ = io.Copy(io.Discard, conn) // until the client has seen it and closes
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return "http://" + listener.Addr().String()
}

// The program redirects the standard logger: bytes after an answer do not reach its log, at any level.
func TestRun_ShowsNoBytesBehindAnAnswer(t *testing.T) {
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	for _, level := range []string{"debug", "error"} {
		fake := twochattest.New(twochattest.Options{Key: testKey, History: 3, RequestsPerMinute: 600_000})
		url := tailing(t, fake, `{"remote_phone_number":"+15550101234","message":{"text":"my card is 4111"}}`)
		r := start(t, "run", "--config", configure(t, url, "file: { path: "+t.TempDir()+"/events.jsonl }", "log: { level: "+
			level+" }"))
		if level == "debug" {
			until(t, "a line of the library's", func() bool { return r.logged(cli.LibraryLine, "begins") != "" })
		} else {
			until(t, "calls", func() bool { return fake.Requests() > 4 })
		}
		wantCode(t, r.end(), cli.ExitFine)
		for line := range strings.Lines(r.err.String()) {
			if strings.Contains(line, "4111") || strings.Contains(line, "0101234") || !json.Valid([]byte(line)) {
				t.Errorf("log.level %s: %s", level, line)
			}
		}
	}
}
