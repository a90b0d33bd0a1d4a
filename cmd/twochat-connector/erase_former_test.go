package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// renameStream gives the stream of a configuration another name, in the sink and in the configuration.
func renameStream(t *testing.T, path, from, to string) {
	t.Helper()
	code, _, errOut := finish(t, "checkpoint", "rename", from, to, "--config", path, "--take-over")
	if code != cli.ExitFine {
		t.Fatalf("rename %s to %s: %d: %s", from, to, code, errOut)
	}
	replace(t, path, "name: "+from, "name: "+to)
}

// A chat is erased from what lies under the former names too; these names stay refused, and the stream goes on.
func TestErase_FormerNames(t *testing.T) {
	t.Parallel()
	for name, sink := range eraseSinks(t) {
		t.Run(name, func(t *testing.T) {
			fake, api := fakeAPI(t, twochattest.Options{Seed: 77, History: 120})
			for range 25 {
				fake.Poison("", twochattest.PoisonNoID)
			}
			dir := t.TempDir()
			path := configure(t, api, strings.ReplaceAll(sink, "DIR", dir), "privacy: { identifiers: clear }")
			former := configure(t, api, strings.ReplaceAll(sink, "DIR", dir), "privacy: { identifiers: clear }")
			if name == "embedded" {
				replace(t, former, sinkOf(t, former), sinkOf(t, path))
			}
			deliver(t, path, 120)
			c := canaryOf(t, fake)
			want := connector.ErasedCounts{Events: c.messages, Rejects: c.poison}
			renameStream(t, path, "support", "sales")
			renameStream(t, path, "sales", "office")
			for i, of := range []connector.ErasedCounts{want, {}} {
				r := erased(t, cli.ExitFine, "--config", path, "--chat", c.digits, "--yes")
				if len(r.Streams) != 3 {
					t.Fatalf("%d streams, want office, support and sales", len(r.Streams))
				}
				s := r.Streams[1]
				if s.Stream != "support" || s.FormerNameOf != "office" || s.Events.Found != of.Events || s.Erased != of {
					t.Errorf("time %d: %+v, want %+v", i+1, s, of)
				}
			}
			if name != "jetstream" && holds(t, dir, c.digits) {
				t.Error("the number is still there")
			}
			code, _, errOut := finish(t, "run", "--config", former)
			if code == cli.ExitFine || !strings.Contains(errOut, "it was renamed to") {
				t.Errorf("the former name runs: %d: %s", code, errOut)
			}
			fake.Insert("", 5)
			deliver(t, path, 125)
			wantEvents(t, path, "office", 121, 125)
			_, out, _ := finish(t, "audit", "--config", path, "--all")
			clitest.WantText(t, "audit", out, fmt.Sprintf("%d events under the former name support", 120-c.messages))
			again := erased(t, cli.ExitFine, "--config", path, "--chat", c.digits, "--dry-run")
			if s := again.Streams[1]; s.Events.Looked != 120-c.messages || s.Events.Found != 0 {
				t.Errorf("under the former name: %+v", s)
			}
		})
	}
}

// A history that was not renamed with its stream is reached as well; and a name that was taken back is no former one.
func TestErase_FormerHistory(t *testing.T) {
	t.Parallel()
	fake, api := fakeAPI(t, twochattest.Options{Seed: 78, History: 120})
	path := configure(t, api, "file: { path: "+filepath.Join(t.TempDir(), "events.jsonl")+" }")
	replace(t, path, "start: beginning", "start: now")
	wantCode(t, liveStream(t, path).end(), cli.ExitFine)
	code, _, _ := finish(t, "backfill", "--config", path, "--all", "--json")
	wantCode(t, code, cli.ExitFine)
	c := canaryOf(t, fake)
	renameStream(t, path, "support", "sales")
	dry := erased(t, cli.ExitFine, "--config", path, "--chat", c.digits, "--dry-run")
	if len(dry.Streams) != 3 || dry.Streams[2].Stream != "support-history" || dry.Streams[2].Events.Found != c.messages {
		t.Fatalf("%+v", dry.Streams)
	}
	renameStream(t, path, "sales", "support")
	r := erased(t, cli.ExitFine, "--config", path, "--chat", c.digits, "--yes")
	found := 0
	for _, s := range r.Streams {
		if s.Stream == "support" && s.FormerNameOf != "" {
			t.Errorf("the name in force is a former one: %+v", s)
		}
		found += s.Erased.Events
	}
	if found != c.messages {
		t.Errorf("erased %d, want %d", found, c.messages)
	}
}

// Kafka says what stays under a former name as well.
func TestErase_FormerNamesOnKafka(t *testing.T) {
	fake, api := fakeAPI(t, twochattest.Options{Seed: 79, History: 120})
	_, broker := fakeKafka(t)
	path := configure(t, api, "kafka: { brokers: ['"+broker+"'], create: true, replicas: 1 }")
	deliver(t, path, 120)
	renameStream(t, path, "support", "sales")
	c := canaryOf(t, fake)
	r := erased(t, cli.ExitWrong, "--config", path, "--chat", c.digits, "--yes")
	if len(r.Streams) != 2 || r.Streams[1].Events.Found != c.messages || len(r.Kept) < 2 {
		t.Fatalf("%+v, %+v", r.Streams, r.Kept)
	}
}

// A rename by an earlier version, which recorded no former name, is recorded by the same command; and an import keeps the
// former names where they lie in the same sink.
func TestErase_FormerNamesThatWereNotRecorded(t *testing.T) {
	fake, api := fakeAPI(t, twochattest.Options{Seed: 80, History: 120})
	dir := t.TempDir()
	path := configure(t, api, "file: { path: "+filepath.Join(dir, "events.jsonl")+" }")
	deliver(t, path, 120)
	c := canaryOf(t, fake)
	renameStream(t, path, "support", "sales")
	wantFound := func(when, path string, streams, want int) {
		t.Helper()
		r := erased(t, cli.ExitFine, "--config", path, "--chat", c.digits, "--dry-run")
		found := 0
		for _, s := range r.Streams {
			found += s.Events.Found
		}
		if len(r.Streams) != streams || found != want {
			t.Errorf("%s: %d events in %d streams, want %d in %d", when, found, len(r.Streams), want, streams)
		}
	}
	forgetFormerNames(t, path)
	wantFound("not recorded", path, 1, 0)
	for range 2 {
		code, _, errOut := finish(t, "checkpoint", "rename", "support", "sales", "--config", path, "--take-over")
		if code != cli.ExitFine {
			t.Fatalf("the same rename: %d: %s", code, errOut)
		}
		wantFound("recorded", path, 2, c.messages)
	}
	file := filepath.Join(dir, "checkpoint.json")
	other := configure(t, api, "file: { path: "+filepath.Join(t.TempDir(), "events.jsonl")+" }")
	replace(t, other, "name: support", "name: sales")
	for _, args := range [][]string{
		{"export", "--stream", "sales", "--out", file, "--config", path},
		{"import", file, "--config", path},
		{"import", file, "--config", other},
	} {
		code, _, errOut := finish(t, append(append([]string{"checkpoint"}, args...), "--take-over")...)
		if code != cli.ExitFine {
			t.Fatalf("%v: %d: %s", args, code, errOut)
		}
	}
	wantFound("imported into the same sink", path, 2, c.messages)
	wantFound("imported into another sink", other, 1, 0)
	r := erased(t, cli.ExitFine, "--config", other, "--chat", c.digits, "--dry-run").Streams[0]
	if r.Elsewhere != 120 || !strings.Contains(r.ElsewhereSink, dir) {
		t.Errorf("%d events are in %q, want 120 in %s", r.Elsewhere, r.ElsewhereSink, dir)
	}
	_, out, _ := finish(t, "erase", "--config", other, "--chat", c.digits, "--dry-run")
	clitest.WantText(t, "imported", out, "120 events were delivered to another sink, which is not reached", "erase there too")
}

// forgetFormerNames leaves the checkpoint of the configured stream as an earlier version wrote it.
func forgetFormerNames(t *testing.T, path string) {
	t.Helper()
	ownLog(t, path, "checkpoint-earlier", func(log connector.Log, next connector.Checkpoint) {
		next.FormerNames = nil
		if err := log.Commit(t.Context(), nil, nil, next); err != nil {
			t.Fatal(err)
		}
	})
}

// A chat that is named by its session key is found under former keys too. Where the pseudonym key of the time is gone,
// that is said, and the token of the time finds it.
func TestErase_FormerKeys(t *testing.T) {
	fake, api := fakeAPI(t, twochattest.Options{Seed: 95, History: 120})
	dir := t.TempDir()
	sink := "file: { path: " + filepath.Join(dir, "events.jsonl") + " }"
	c := canaryOf(t, fake)
	keyed := configure(t, api, sink, "privacy: { identifiers: pseudonymous, key_file: "+secretIn(t, dir)+" }")
	hashed := configure(t, api, sink)
	clear := configure(t, api, sink, "privacy: { identifiers: clear }")
	deliver(t, hashed, 120)
	renameStream(t, hashed, "support", "sales")
	replace(t, clear, "name: support", "name: sales")
	replace(t, keyed, "name: support", "name: sales")
	fake.Insert("", 1)
	deliver(t, clear, 121, "--rekey")
	r := erased(t, cli.ExitFine, "--config", clear, "--chat", c.session, "--dry-run")
	if r.Streams[1].Events.Found != c.messages {
		t.Errorf("by the session key: %+v", r.Streams[1])
	}
	fake.Insert("", 1)
	deliver(t, keyed, 122, "--rekey")
	fake.Insert("", 1)
	deliver(t, clear, 123, "--rekey")
	r = erased(t, cli.ExitWrong, "--config", clear, "--chat", c.digits, "--dry-run")
	if r.Streams[0].Unreachable != 1 || r.Streams[1].Unreachable != 0 || r.Streams[1].Events.Found != c.messages {
		t.Errorf("%+v, %+v", r.Streams[0], r.Streams[1])
	}
	content, err := os.ReadFile(filepath.Join(dir, "events.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var e struct{ Subject string }
	if err := json.Unmarshal(bytes.Split(content, []byte("\n"))[121], &e); err != nil {
		t.Fatal(err)
	}
	r = erased(t, cli.ExitWrong, "--config", clear, "--chat", e.Subject, "--yes")
	if s := r.Streams[0]; s.Erased.Events != 1 || !s.ByToken || s.Unreachable != 2 {
		t.Errorf("by the token of the time: %+v", s)
	}
	wantByToken(t, clear, bytes.Split(content, []byte("\n")), c)
}

// wantByToken names a chat by its tokens of different times, and by the beginnings of them: where an event shows the
// chat in clear, all of it is found.
func wantByToken(t *testing.T, path string, lines [][]byte, c canaryChat) {
	t.Helper()
	tokens := map[string]bool{}
	for _, line := range lines {
		if bytes.Contains(line, []byte(`"session_key":"`+c.session+`"`)) {
			var e struct{ Subject string }
			if err := json.Unmarshal(line, &e); err != nil {
				t.Fatal(err)
			}
			tokens[e.Subject] = true
		}
	}
	want, whole := -1, 0
	for token := range tokens {
		for _, said := range []string{token, token[:8]} {
			if said != token && strings.Contains(token, "=") {
				continue // the beginning of a token in clear is that of many
			}
			whole++
			found := 0
			for _, s := range erased(t, cli.ExitFine, "--config", path, "--chat", said, "--dry-run").Streams {
				if found += s.Events.Found; s.ByToken {
					t.Errorf("by %s: it is not found out whose token it is", said)
				}
			}
			if want < 0 {
				want = found
			}
			if found != want || found == 0 {
				t.Errorf("by %s: %d events, %d by another token", said, found, want)
			}
		}
	}
	if whole < 2 {
		t.Errorf("%d ways to name the chat by a token", whole)
	}
}

// The beginning of the tokens of two chats names neither.
func TestErase_BeginningOfTwoTokens(t *testing.T) {
	fake, api := fakeAPI(t, twochattest.Options{Seed: 97, History: 60})
	events := filepath.Join(t.TempDir(), "events.jsonl")
	path := configure(t, api, "file: { path: "+events+" }")
	deliver(t, path, 60)
	c := canaryOf(t, fake)
	content, err := os.ReadFile(events)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(content), "\n")
	for i, token := range []string{"abcdefgh2222222222222222aa", "abcdefgh3333333333333333aa"} {
		var e struct{ Subject string }
		if err := json.Unmarshal([]byte(lines[i]), &e); err != nil {
			t.Fatal(err)
		}
		lines[i] = strings.ReplaceAll(lines[i], e.Subject, token)
	}
	if err := os.WriteFile(events, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errOut := finish(t, "erase", "--config", path, "--chat", "abcdefgh", "--dry-run")
	wantCode(t, code, cli.ExitFailed)
	clitest.WantText(t, "erase", errOut, "the beginning of the tokens of 2 chats", "give the whole token")
	r := erased(t, cli.ExitFine, "--config", path, "--chat", "abcdefgh3", "--dry-run")
	if got := r.Streams[0].Events.Found; got < 1 {
		t.Error("nothing is found by the beginning of one")
	}
	// What cannot be read may be of the chat.
	lines[5] = "garbage\n"
	if err := os.WriteFile(events, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, _ := finish(t, "erase", "--config", path, "--chat", c.digits, "--dry-run")
	wantCode(t, code, cli.ExitWrong)
	clitest.WantText(t, "erase", out, "1 record among the events cannot be read")
}

// A former name whose checkpoint is gone cannot be taken over, so what is there of the chat stays, and that is said.
func TestErase_FormerNameWithoutACheckpoint(t *testing.T) {
	t.Parallel()
	fake, api := fakeAPI(t, twochattest.Options{Seed: 96, History: 120})
	server := embeddedServer(t)
	path := configure(t, api, "jetstream: { url: '"+server+"' }")
	deliver(t, path, 120)
	c := canaryOf(t, fake)
	renameStream(t, path, "support", "sales")
	_, stream := streamToTamper(t, server)
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSubject("whatsapp-checkpoint.support")); err != nil {
		t.Fatal(err)
	}
	r := erased(t, cli.ExitWrong, "--config", path, "--chat", c.digits, "--yes")
	if s := r.Streams[1]; !s.NoCheckpoint || s.Events.Found != c.messages || s.Erased.Events != 0 {
		t.Errorf("%+v", s)
	}
	code, out, _ := finish(t, "audit", "--config", path, "--all")
	wantCode(t, code, cli.ExitFine)
	clitest.WantText(t, "audit", out, "120 events under the former name support, whose checkpoint is gone")
}

// secretIn is the path of a pseudonym key.
func secretIn(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "pseudonyms")
	if err := os.WriteFile(path, []byte("0123456789abcdef0123"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
