package main

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// personal lists the strings of an item that belong to a person: numbers, chats, texts, URLs, names of some length.
func personal(into map[string]bool, value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, part := range v {
			text, ok := part.(string)
			switch {
			case !ok:
				personal(into, part)
			case key == "uuid" || key == "id" || key == "created_at" || key == "timestamp" || key == "type" || key == "mime_type" || key == "sent_by" || key == "currency":
			case len(text) >= 10:
				into[text] = true
			}
			// A number is one in any form.
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

// Nobody's number, chat, text or URL and no key stands in the log, metrics, status, page, probes or reports, whatever goes
// wrong (invariant I13).
func TestCanary(t *testing.T) {
	noLeaks(t)
	events := filepath.Join(t.TempDir(), "events.jsonl")
	for name, sink := range map[string]string{
		"file":     "file: { path: " + events + " }",
		"embedded": "embedded: { listen: '" + closedPort(t) + "', dir: " + t.TempDir() + " }",
		"no sink":  "jetstream: { url: 'nats://" + closedPort(t) + "' }",
	} {
		t.Run(name, func(t *testing.T) {
			faults := append(faults(.3),
				twochattest.Chance{Fault: twochattest.Status(422, twochattest.BodyDetail), Rate: .01}, twochattest.Chance{Fault: twochattest.Fault{Kind: twochattest.KindShortPage}, Rate: .02},
				twochattest.Chance{Fault: twochattest.Fault{Kind: twochattest.KindRepeat}, Rate: .02})
			fake, url := fakeAPI(t, twochattest.Options{Seed: 11, History: 700, Drift: twochattest.HostileDrift(), Faults: faults})
			for _, kind := range twochattest.Poisons() {
				fake.Poison("", kind)
			}
			path := configure(t, url, sink, "log: { level: debug }")
			r := start(t, "run", "--config", path)
			admin := r.admin()
			var shown strings.Builder
			look := func() {
				for _, place := range []string{"/metrics", "/status", "/", "/readyz", "/healthz", "/nothing"} {
					_, body := get(t, admin+place)
					shown.WriteString(body)
				}
			}
			if name != "no sink" {
				until(t, "calls", func() bool { look(); return fake.Requests() > 25 })
				if len(fake.Faults()) == 0 {
					t.Error("nothing went wrong")
				}
			}
			for _, args := range [][]string{
				{"status", "--admin", admin},
				{"status", "--json", "--admin", admin},
				{"check", "--config", path},
				{"check", "--json", "--config", path},
				{"check", "--learn", "--config", path},
				{"explain", "--config", path},
				{"explain", "--json", "--config", path},
			} {
				_, out, errOut := finish(t, args...)
				shown.WriteString(out + errOut)
			}
			// What has to be mended by a person goes wrong as well.
			fake.Next(twochattest.Status(401, twochattest.BodyDetail), twochattest.Status(402, twochattest.BodyError), twochattest.Status(404, twochattest.BodyMessage))
			for range 3 {
				_, out, errOut := finish(t, "check", "--config", path)
				shown.WriteString(out + errOut)
			}
			look()
			wantCode(t, r.end(), exitFine)
			shown.WriteString(r.out.String() + r.err.String())

			forbidden := map[string]bool{testKey: true, strings.TrimPrefix(twochattest.DefaultNumber, "+"): true}
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
