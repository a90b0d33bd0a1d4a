package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/erase"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// canaryChat is the chat that is to be erased.
type canaryChat struct {
	session, digits  string
	messages, poison int
}

// canaryOf picks the person with the most messages. poisoned counts that person's items in the quarantine.
func canaryOf(t *testing.T, fake *twochattest.Fake) canaryChat {
	t.Helper()
	counts := map[string]int{}
	for _, m := range fake.Truth("") {
		if strings.HasSuffix(m.Chat, "@c.us") && m.Poison == "" {
			counts[m.Chat]++
		}
	}
	var c canaryChat
	for session, n := range counts {
		if n > c.messages || n == c.messages && session < c.session {
			c.session, c.messages = session, n
		}
	}
	c.digits = strings.TrimSuffix(c.session[strings.LastIndexByte(c.session, '-')+1:], "@c.us")
	c.messages = 0
	for _, m := range fake.Truth("") {
		switch {
		case m.Chat != c.session && m.Chat != "+"+c.digits:
		case m.Poison != "":
			c.poison++
		default:
			c.messages++
		}
	}
	if c.messages < 10 || len(c.digits) < 8 {
		t.Fatalf("no canary: %+v", c)
	}
	return c
}

// erased runs erase with --json and checks the exit code.
func erased(t *testing.T, want int, args ...string) erase.Report {
	t.Helper()
	code, out, errOut := finish(t, append([]string{"erase", "--json"}, args...)...)
	var r erase.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != want {
		t.Fatalf("exit code %d, want %d: %v in %s%s", code, want, err, out, errOut)
	}
	return r
}

// holds reports whether a file under a folder contains a text.
func holds(t *testing.T, dir, text string) bool {
	t.Helper()
	found := false
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		found = found || bytes.Contains(raw, []byte(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// eraseSinks are the sinks that can erase, each with the folder of its data.
func eraseSinks(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{
		"file":      "file: { path: DIR/events.jsonl }",
		"embedded":  "embedded: { listen: '" + clitest.ClosedPort(t) + "', dir: DIR/data }",
		"jetstream": "jetstream: { url: '" + embeddedServer(t) + "' }",
	}
}

// A chat is erased from each sink byte by byte, and nothing brings it back: neither a run with its sweep nor audit
// --repair. The audit reports the erasure, and no errors. Messages that come in later are delivered.
func TestErase_StaysAway(t *testing.T) {
	t.Parallel()
	for name, sink := range eraseSinks(t) {
		t.Run(name, func(t *testing.T) {
			fake, api := fakeAPI(t, twochattest.Options{Seed: 71, History: 250})
			for range 25 { // some of them belong to the canary
				fake.Poison("", twochattest.PoisonNoID)
			}
			dir := t.TempDir()
			path := configure(t, api, strings.ReplaceAll(sink, "DIR", dir), "privacy: { identifiers: clear }")
			deliver(t, path, 250)
			c := canaryOf(t, fake)
			number := "+" + c.digits[:2] + " (" + c.digits[2:5] + ") " + c.digits[5:]
			if name != "jetstream" && !holds(t, dir, c.digits) {
				t.Fatal("the canary is nowhere")
			}

			r := erased(t, cli.ExitFine, "--config", path, "--chat", number, "--dry-run")
			if s := r.Streams[0]; s.Events.Found != c.messages || s.Events.Looked != 250 || s.Rejects.Found != c.poison ||
				s.Erased != (connector.ErasedCounts{}) {
				t.Fatalf("%+v, want %+v", s, c)
			}
			want := connector.ErasedCounts{Events: c.messages, Rejects: c.poison}
			for range 2 {
				r = erased(t, cli.ExitFine, "--config", path, "--chat", number, "--yes")
				if len(r.Streams) != 1 || r.Streams[0].Stream != "support" || r.Streams[0].Erased != want {
					t.Fatalf("%+v, want %+v", r.Streams[0], want)
				}
				want = connector.ErasedCounts{} // the second erasure finds nothing
			}
			if name != "jetstream" && holds(t, dir, c.digits) {
				t.Errorf("the canary's number is still there")
			}

			audited := func(args ...string) {
				t.Helper()
				report := auditReport(t, cli.ExitFine, append([]string{"--config", path, "--all"}, args...)...)
				s := report.Streams[0]
				if report.Wrong || s.Findings.Noted.ErasedOnRequest != c.messages+c.poison || s.Repair != nil ||
					s.Events != 250-c.messages {
					t.Errorf("%v: %+v", args, s)
				}
			}
			audited()
			audited("--repair")
			deliver(t, path, 250)
			audited()

			fake.Insert("", 40)
			deliver(t, path, 290)
			again := erased(t, cli.ExitFine, "--config", path, "--chat", c.session, "--dry-run").Streams[0]
			fresh := 0
			for _, m := range fake.Truth("")[275:] {
				if m.Chat == c.session {
					fresh++
				}
			}
			if again.Events.Looked != 290-c.messages || again.Events.Found != fresh || fresh == 0 {
				t.Errorf("after new messages came: %+v, want %d", again, fresh)
			}
		})
	}
}

// Events that backfill delivered are erased too, and no later backfill brings them back.
func TestErase_FromAHistory(t *testing.T) {
	t.Parallel()
	for name, sink := range eraseSinks(t) {
		t.Run(name, func(t *testing.T) {
			fake, api := fakeAPI(t, twochattest.Options{Seed: 72, History: 250})
			path := configure(t, api, strings.ReplaceAll(sink, "DIR", t.TempDir()))
			replace(t, path, "start: beginning", "start: now")
			wantCode(t, liveStream(t, path).end(), cli.ExitFine)
			backfilled := func() uint64 {
				t.Helper()
				code, out, _ := finish(t, "backfill", "--config", path, "--all", "--json")
				wantCode(t, code, cli.ExitFine)
				return uint64(result(t, out).Delivered)
			}
			if n := backfilled(); n != 250 {
				t.Fatalf("%d messages of the history", n)
			}
			c := canaryOf(t, fake)
			r := erased(t, cli.ExitFine, "--config", path, "--chat", c.digits, "--yes")
			i := slices.IndexFunc(r.Streams, func(s *erase.StreamReport) bool { return s.Stream == "support-history" })
			if i < 0 || r.Streams[i].Erased.Events != c.messages {
				t.Fatalf("%d of %d streams: %+v, want %+v", i, len(r.Streams), r.Streams, c)
			}
			if n := backfilled(); n != 0 {
				t.Errorf("%d come again", n)
			}
			r = erased(t, cli.ExitFine, "--config", path, "--chat", c.digits, "--dry-run")
			if s := r.Streams[i]; s.Events.Found != 0 || s.Events.Looked != 250-c.messages {
				t.Errorf("after another backfill: %+v", s)
			}
		})
	}
}

// The same events are erased however the chat is named, and however the events name it.
func TestErase_Names(t *testing.T) {
	t.Parallel()
	fake, api := fakeAPI(t, twochattest.Options{Seed: 73, History: 250})
	secret := filepath.Join(t.TempDir(), "pseudonyms")
	if err := os.WriteFile(secret, []byte("0123456789abcdef0123456789abcdef\n"), 0o400); err != nil {
		t.Fatal(err)
	}
	c := canaryOf(t, fake)
	alone := 0 // items with a session key
	for _, m := range fake.Truth("") {
		if m.Chat == c.session {
			alone++
		}
	}
	for _, privacy := range []string{
		"{ identifiers: hashed }", "{ identifiers: clear }", "{ identifiers: pseudonymous, key_file: " + secret + " }",
		"{ identifiers: hashed, drop: [text, media, quoted, names] }",
	} {
		for _, data := range []string{"item", "row"} {
			path := configure(t, api, "file: { path: "+t.TempDir()+"/events.jsonl }", "privacy: "+privacy,
				"events: { data: "+data+" }")
			deliver(t, path, 250)
			for said, want := range map[string]int{
				c.digits: c.messages, "00" + c.digits: c.messages, c.digits + "@c.us": c.messages, c.session: alone,
				"+15550000000": 0, "nobody": 0,
			} {
				r := erased(t, cli.ExitFine, "--config", path, "--chat", said, "--dry-run")
				if got := r.Streams[0].Events.Found; got != want {
					t.Errorf("privacy %s, %s, %q: %d events, want %d", privacy, data, said, got, want)
				}
			}
		}
	}
}

// What erase tells a person, and which ways of asking it refuses.
func TestErase_Says(t *testing.T) {
	fake, api := fakeAPI(t, twochattest.Options{Seed: 74, History: 120})
	dir := t.TempDir()
	path := configure(t, api, "file: { path: "+dir+"/events.jsonl }")
	code, _, errOut := finish(t, "erase", "--config", path, "--chat", "x", "--dry-run")
	wantCode(t, code, cli.ExitFailed)
	clitest.WantText(t, "before anything is read", errOut, "holds no checkpoint", "twochat-connector run")
	deliver(t, path, 120)
	c := canaryOf(t, fake)
	for args, want := range map[string]string{
		"":                          "expected --chat with a number",
		"--chat x":                  "expected --yes, or --dry-run",
		"--chat - --dry-run":        "expected --chat with a number",
		"--chat 12 --dry-run":       "flag --chat: the number is too short",
		"--chat +595-1 --yes":       "flag --chat: the number is too short",
		"--chat x --yes --sink -":   "keeps no events",
		"--chat x --yes --stream y": "expected the name of a configured stream",
	} {
		code, out, errOut := finish(t, append([]string{"erase", "--config", path}, strings.Fields(args)...)...)
		if code != cli.ExitUsage || !strings.Contains(errOut, want) {
			t.Errorf("erase %s ends with %d: %s%s", args, code, out, errOut)
		}
	}
	// The process that writes the file has to give it up first.
	live := liveStream(t, path)
	code, _, errOut = finish(t, "erase", "--config", path, "--chat", c.digits, "--yes")
	wantCode(t, code, cli.ExitFailed)
	clitest.WantText(t, "beside a run", errOut, "another process is writing here", "stop that process")
	wantCode(t, live.end(), cli.ExitFine)

	var all strings.Builder
	for _, args := range [][]string{{"--dry-run"}, {"--yes"}, {"--yes"}} {
		code, out, errOut := finish(t, append([]string{"erase", "--config", path, "--chat", c.digits}, args...)...)
		wantCode(t, code, cli.ExitFine)
		fmt.Fprintf(&all, "$ twochat-connector erase --chat … %s\n%s\n", strings.Join(args, " "), out)
		if strings.Contains(out+errOut, c.digits) {
			t.Errorf("it shows the number: %s%s", out, errOut)
		}
	}
	wantGolden(t, "erase.txt", all.String())
	r := start(t, "audit", "--config", path, "--all")
	wantCode(t, r.wait(), cli.ExitFine)
	clitest.WantText(t, "audit", r.out.String(), fmt.Sprint(c.messages)+" erased on request")
}

// Without --take-over a running instance is not fenced. After a take-over it knows what was erased.
func TestErase_BesideARun(t *testing.T) {
	t.Parallel()
	fake, api := fakeAPI(t, twochattest.Options{Seed: 75, History: 120})
	path := configure(t, api, "jetstream: { url: '"+embeddedServer(t)+"' }")
	replace(t, path, "listen: '127.0.0.1:0'", "listen: '"+clitest.ClosedPort(t)+"'")
	deliver(t, path, 120)
	c := canaryOf(t, fake)
	live := liveStream(t, path)
	admin := live.admin()
	code, _, errOut := finish(t, "erase", "--config", path, "--chat", c.digits, "--yes")
	wantCode(t, code, cli.ExitFailed)
	clitest.WantText(t, "beside a run", errOut, "answers, and erasing takes its streams over", "--take-over")
	r := erased(t, cli.ExitFine, "--config", path, "--chat", c.digits, "--yes", "--take-over")
	if got := r.Streams[0].Erased.Events; got != c.messages {
		t.Errorf("erased %d, want %d", got, c.messages)
	}
	fake.Insert("", 10)
	until(t, "it goes on by itself", func() bool {
		_, body := get(t, admin+"/status")
		return strings.Contains(body, `"certified": 130`)
	})
	wantCode(t, live.end(), cli.ExitFine)
	auditReport(t, cli.ExitFine, "--config", path, "--all")
}

// What a command takes from an instance, it hands back when it is done: the owner is then nobody for whom the instance
// would wait.
func TestErase_HandsBack(t *testing.T) {
	t.Parallel()
	fake, api := fakeAPI(t, twochattest.Options{Seed: 75, History: 120})
	server := embeddedServer(t)
	path := configure(t, api, "jetstream: { url: '"+server+"' }")
	deliver(t, path, 120)
	owner := func() string {
		t.Helper()
		code, out, _ := finish(t, "checkpoint", "show", "--config", path, "--json")
		wantCode(t, code, cli.ExitFine)
		var shown []struct{ Owner string }
		if err := json.Unmarshal([]byte(out), &shown); err != nil || len(shown) != 1 {
			t.Fatal(out, err)
		}
		return shown[0].Owner
	}
	c := canaryOf(t, fake)
	for i, takesOver := range []string{"", "--take-over"} {
		deleteFrom(t, server, uint64(10+i))
		for _, args := range [][]string{{"audit", "--all", "--repair"}, {"erase", "--chat", c.digits, "--yes"}} {
			args = append(args, "--config", path)
			if takesOver != "" {
				args = append(args, takesOver)
			}
			if code, _, _ := finish(t, args...); code != cli.ExitFine {
				t.Errorf("%s: exit code %d", args, code)
			}
			if got := owner(); strings.HasPrefix(got, "handed-") != (takesOver != "") {
				t.Errorf("%s: the owner is %s", args, got)
			}
		}
	}
}

// With Kafka, erase tells what stays, where, and what to do about it.
func TestErase_Kafka(t *testing.T) {
	fake, api := fakeAPI(t, twochattest.Options{Seed: 76, History: 120})
	_, broker := fakeKafka(t)
	path := configure(t, api, "kafka: { brokers: ['"+broker+"'], create: true, replicas: 1 }")
	deliver(t, path, 120)
	c := canaryOf(t, fake)
	r := erased(t, cli.ExitWrong, "--config", path, "--chat", c.digits, "--yes")
	s, inPlaces := r.Streams[0], 0
	for _, p := range s.Places {
		inPlaces += p.Events
	}
	if s.Events.Found != c.messages || inPlaces != c.messages || s.Erased.Events != 0 || len(r.Kept) < 2 {
		t.Fatalf("%+v, %+v", s, r.Kept)
	}
	clitest.WantText(t, "kept", r.Kept[0].Text+r.Kept[0].Hint, "keeps them for ever",
		"kafka-configs.sh --bootstrap-server "+broker+" --alter --entity-type topics --entity-name whatsapp.messages --add-config retention.ms=604800000")
	clitest.WantText(t, "at once", r.Kept[1].Hint, "kafka-delete-records.sh",
		fmt.Sprintf(`"partition":%d,"offset":%d`, s.Places[0].Partition, s.Places[0].Last+1))
	erased(t, cli.ExitFine, "--config", path, "--chat", c.digits, "--dry-run")
	erased(t, cli.ExitFine, "--config", path, "--chat", "+15550000000", "--yes")
}
