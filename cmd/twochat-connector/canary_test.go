package main

import (
	"encoding/json"
	"fmt"
	"log"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// personal collects the strings of an item that belong to a person: numbers, chats, texts, URLs, and names of some
// length.
func personal(into map[string]bool, value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, part := range v {
			text, ok := part.(string)
			switch {
			case !ok:
				personal(into, part)
			case key == "uuid" || key == "id" || key == "created_at" || key == "timestamp" || key == "type" ||
				key == "mime_type" || key == "sent_by" || key == "currency":
			case len(text) >= 10:
				into[text] = true
			}
			// A number counts in any form.
			if digits := strings.Trim(text, "+"); len(digits) >= 9 && strings.Trim(digits, "0123456789") == "" {
				into[digits] = true
			}
		}
	case []any:
		for _, part := range v {
			personal(into, part)
		}
	}
}

// everyFault lists all ways in which an answer can be wrong without long waits, together at the given rate.
func everyFault(rate float64) []twochattest.Chance {
	chances := faults(rate)
	for _, kind := range []twochattest.Kind{twochattest.KindShortPage, twochattest.KindRepeat, twochattest.KindOversized} {
		chances = append(chances, twochattest.Chance{Fault: twochattest.Fault{Kind: kind}, Rate: .02})
	}
	return append(chances, twochattest.Chance{Fault: twochattest.Fault{Kind: twochattest.KindBehind}, Rate: .2})
}

// No number, chat, text, URL or key appears in the log, metrics, status, page, probes, traces or reports, whatever
// goes wrong, at every log level and in every privacy mode (invariant I13). The process's arguments contain none
// either, because none is ever passed there.
func TestCanary(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("nine programs one after the other: not in short mode")
	}
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	dir := t.TempDir()
	key := filepath.Join(dir, "pseudonyms")
	if err := os.WriteFile(key, []byte("PSEUDONYMS-0123456789abcdef0123456789abcdef"), 0o400); err != nil {
		t.Fatal(err)
	}
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte(adminToken), 0o400); err != nil {
		t.Fatal(err)
	}
	for i, test := range []struct{ name, sink, level, format, privacy string }{
		{"file", "file: { path: " + dir + "/1.jsonl }", "debug", "json", "{ identifiers: hashed }"},
		{"file, in clear", "file: { path: " + dir + "/2.jsonl }", "debug", "json", "{ identifiers: clear }"},
		{
			"file, pseudonymous", "file: { path: " + dir + "/3.jsonl }", "debug", "json",
			"{ identifiers: pseudonymous, key_file: " + key + " }",
		},
		{"file, dropping", "file: { path: " + dir + "/4.jsonl }", "info", "json", "{ identifiers: pseudonymous, key_file: " +
			key + ", drop: [text, media, quoted, names] }"},
		{
			"embedded", "embedded: { listen: '" + clitest.ClosedPort(t) + "', dir: " + t.TempDir() + " }", "debug", "json",
			"{ identifiers: clear }",
		},
		{"no sink", "jetstream: { url: 'nats://" + clitest.ClosedPort(t) + "' }", "debug", "json", "{ identifiers: clear }"},
		{"file that cannot be written", "file: { path: /dev/full }", "debug", "json", "{ identifiers: clear }"},
		{"warn", "file: { path: " + dir + "/5.jsonl }", "warn", "json", "{ identifiers: clear, drop: [text] }"},
		{"error", "file: { path: " + dir + "/6.jsonl }", "error", "json", "{ identifiers: clear }"},
	} {
		t.Run(test.name, func(t *testing.T) {
			fake, url := fakeAPI(t, twochattest.Options{
				Seed: 11 + uint64(i), History: 700, Drift: twochattest.HostileDrift(), Faults: everyFault(.3),
				OversizedBytes: 9 << 20,
			})
			for _, kind := range twochattest.Poisons() {
				fake.Poison("", kind)
			}
			otlp, endpoint := otlpServer(t)
			path := configure(t, url, test.sink, fmt.Sprintf("log: { level: %s, format: %s }\nprivacy: %s\n"+
				"traces: { endpoint: '%s' }", test.level, test.format, test.privacy, endpoint))
			port := clitest.ClosedPort(t)
			replace(t, path, "'127.0.0.1:0'", "'"+port+"', token_file: "+token)
			r := start(t, "run", "--config", path)
			admin := "http://" + port
			var shown strings.Builder
			look := func() {
				for _, place := range []string{"/metrics", "/status", "/", "/readyz", "/healthz", "/nothing"} {
					body, err := tryGetWith(adminToken, admin+place)
					if err != nil {
						return
					}
					shown.WriteString(body)
				}
			}
			until(t, "the admin server, or an end", func() bool {
				_, err := tryGet(admin + "/healthz")
				return err == nil || r.over()
			})
			reads := !strings.Contains(test.name, "no sink") && !strings.Contains(test.name, "cannot")
			if reads {
				until(t, "calls", func() bool { look(); return fake.Requests() > 20 })
				if len(fake.Faults()) == 0 {
					t.Error("nothing went wrong")
				}
			}
			commands := [][]string{
				{"status", "--config", path},
				{"status", "--json", "--admin", admin, "--token-file", token},
				{"status", "--admin", admin},
				{"explain", "--config", path},
				{"explain", "--json", "--config", path},
			}
			checked := i%3 == 1 // in clear, with the embedded sink, and with the log at errors only
			if checked {
				commands = append(commands, []string{"check", "--config", path}, []string{"check", "--json", "--config", path},
					[]string{"check", "--learn", "--config", path})
			}
			for _, args := range commands {
				_, out, errOut := finish(t, args...)
				shown.WriteString(out + errOut)
			}
			// Faults that a person has to fix occur as well.
			if checked {
				for _, code := range []int{401, 402, 404, 407, 422} {
					fake.Next(twochattest.Status(code, twochattest.Bodies()[code%3]))
				}
				for range 3 {
					_, out, errOut := finish(t, "check", "--config", path)
					shown.WriteString(out + errOut)
				}
			}
			look()
			r.end()
			shown.WriteString(r.out.String() + r.err.String())
			traces := otlp.sent()
			if len(traces) > 0 != reads {
				t.Errorf("%d bytes of traces were sent", len(traces))
			}
			shown.Write(traces)

			forbidden := map[string]bool{
				testKey: true, adminToken: true, strings.TrimPrefix(twochattest.DefaultNumber, "+"): true,
				"PSEUDONYMS-": true,
			}
			for _, m := range fake.Truth("") {
				var item any
				if json.Unmarshal(m.Data(), &item) == nil {
					personal(forbidden, item)
				}
			}
			if len(forbidden) < 100 {
				t.Fatalf("only %d canaries", len(forbidden))
			}
			text := shown.String()
			for canary := range maps.Keys(forbidden) {
				if at := strings.Index(text, canary); at >= 0 {
					t.Errorf("%q is shown: %s", canary, text[max(0, at-200):min(len(text), at+200)])
				}
			}
		})
	}
}
