package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// eventsBySequence reads a stream's events back by its name: uuid by sequence. It fails the test if a sequence or a
// uuid occurs twice.
func eventsBySequence(t *testing.T, path, stream string) map[uint64]string {
	t.Helper()
	c, err := (&cli.Program{}).Load(&config.Flags{Config: path})
	if err != nil {
		t.Fatal(err)
	}
	sink, _, err := pipeline.OpenSink(c, cli.QuietLogger())
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	events, ids := map[uint64]string{}, map[string]bool{}
	err = sink.ReadBack(t.Context(), stream, func(r connector.StoredRecord) error {
		var e struct{ ID, Sequence string }
		if err := json.Unmarshal(r.Event, &e); err != nil {
			return err
		}
		var sequence uint64
		if _, err := fmt.Sscan(strings.TrimLeft(e.Sequence, "0"), &sequence); err != nil {
			return err
		}
		if events[sequence] != "" || ids[e.ID] {
			t.Errorf("event %d of stream %s stands twice", sequence, stream)
		}
		events[sequence], ids[e.ID] = e.ID, true
		return nil
	}, func([]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// wantEvents checks that a stream's log holds these sequences and no others.
func wantEvents(t *testing.T, path, stream string, from, to uint64) {
	t.Helper()
	events := eventsBySequence(t, path, stream)
	for n := from; n <= to; n++ {
		if events[n] == "" {
			t.Errorf("stream %s has no event %d", stream, n)
		}
	}
	if uint64(len(events)) != to-from+1 {
		t.Errorf("stream %s has %d events, want %d to %d", stream, len(events), from, to)
	}
}

// otherSinks are sinks to which a checkpoint can be carried.
func otherSinks(t *testing.T) map[string]string {
	t.Helper()
	_, broker := fakeKafka(t)
	dir := t.TempDir()
	return map[string]string{
		"file":      "file: { path: " + filepath.Join(dir, "events.jsonl") + " }",
		"JetStream": "jetstream: { url: '" + embeddedServer(t) + "' }",
		"embedded":  "embedded: { listen: '" + clitest.ClosedPort(t) + "', dir: " + filepath.Join(dir, "data") + " }",
		"kafka":     "kafka: { brokers: ['" + broker + "'], create: true, replicas: 1 }",
	}
}

// A checkpoint is carried to an empty sink of each kind. The sequence goes on there, and nothing is delivered twice.
func TestCheckpoint_ExportImport(t *testing.T) {
	t.Parallel()
	fake, url := fakeAPI(t, twochattest.Options{Seed: 81, History: 300})
	former := configure(t, url, "file: { path: "+filepath.Join(t.TempDir(), "events.jsonl")+" }")
	deliver(t, former, 300)
	file := filepath.Join(t.TempDir(), "support.json")
	code, out, errOut := finish(t, "checkpoint", "export", "--config", former, "--stream", "support", "--out", file,
		"--take-over")
	if code != cli.ExitFine {
		t.Fatalf("%d: %s", code, errOut)
	}
	wantGolden(t, "checkpoint_export.txt", strings.ReplaceAll(out, file, "support.json"))
	code, _, errOut = finish(t, "checkpoint", "export", "--config", former, "--stream", "support", "--out", file,
		"--take-over")
	wantCode(t, code, cli.ExitFailed)
	clitest.WantText(t, "a second time", errOut, "there is a file", "name another one")
	content, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(content), strings.TrimPrefix(twochattest.DefaultNumber, "+")) {
		t.Errorf("%v: the file names the number: %s", err, content)
	}

	fake.Insert("", 5)
	total := uint64(300)
	for name, sink := range otherSinks(t) {
		total += 5
		path := configure(t, url, sink)
		code, out, errOut := finish(t, "checkpoint", "import", file, "--config", path)
		if code != cli.ExitFine {
			t.Fatalf("%s: %d: %s", name, code, errOut)
		}
		wantGolden(t, "checkpoint_import.txt", out)
		code, _, errOut = finish(t, "checkpoint", "import", file, "--config", path) // it is already there
		if code != cli.ExitFine {
			t.Errorf("%s, again: %d: %s", name, code, errOut)
		}
		deliver(t, path, int(total))
		wantEvents(t, path, "support", 301, total)
		audited := auditReport(t, cli.ExitFine, "--config", path, "--all").Streams[0]
		if audited.Findings.Noted.Elsewhere != 300 || audited.Events != int(total)-300 {
			t.Errorf("%s: %+v", name, audited)
		}
		code, _, errOut = finish(t, "checkpoint", "import", file, "--config", path, "--take-over")
		wantCode(t, code, cli.ExitFailed)
		clitest.WantText(t, name, errOut, fmt.Sprintf("goes on to sequence %d, and the file ends at 300", total))
		fake.Insert("", 5)
	}
}

// A broker that was restored from a backup goes on after what was delivered, not after what the backup holds.
func TestCheckpoint_ImportIntoARestoredSink(t *testing.T) {
	t.Parallel()
	fake, url := fakeAPI(t, twochattest.Options{Seed: 82, History: 100})
	dir := t.TempDir()
	events := filepath.Join(dir, "events.jsonl")
	path := configure(t, url, "file: { path: "+events+" }")
	deliver(t, path, 100)
	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	fake.Insert("", 7)
	deliver(t, path, 107)
	_, exported, _ := finish(t, "checkpoint", "export", "--config", path, "--stream", "support", "--take-over")
	file := filepath.Join(t.TempDir(), "support.json")
	if err := os.WriteFile(file, []byte(exported), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(copied)); err != nil {
		t.Fatal(err)
	}
	code, out, errOut := finish(t, "checkpoint", "import", file, "--config", path, "--take-over")
	if code != cli.ExitFine {
		t.Fatalf("%d: %s", code, errOut)
	}
	clitest.WantText(t, "import", out, "the events from 101 to 107 are not in this sink",
		"audit --config "+path+" --all --repair")
	fake.Insert("", 3)
	deliver(t, path, 110)
	if got := eventsBySequence(t, path, "support"); len(got) != 103 || got[108] == "" || got[101] != "" {
		t.Errorf("%d events after the import", len(got))
	}
	r := auditReport(t, cli.ExitFine, "--config", path, "--all", "--repair", "--take-over").Streams[0].Repair
	if r == nil || r.Restored != 7 || r.First != 111 {
		t.Errorf("the repair is %+v", r)
	}
}

// Events without their checkpoint are refused, and the hint names the command that brings it back.
func TestCheckpoint_ImportOfALostOne(t *testing.T) {
	t.Parallel()
	fake, url := fakeAPI(t, twochattest.Options{Seed: 90, History: 40})
	server := embeddedServer(t)
	path := configure(t, url, "jetstream: { url: '"+server+"' }")
	deliver(t, path, 40)
	file := filepath.Join(t.TempDir(), "support.json")
	code, _, errOut := finish(t, "checkpoint", "export", "--config", path, "--stream", "support", "--out", file,
		"--take-over")
	if code != cli.ExitFine {
		t.Fatalf("%d: %s", code, errOut)
	}
	_, stream := streamToTamper(t, server)
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSubject("whatsapp-checkpoint.>")); err != nil {
		t.Fatal(err)
	}
	code, _, errOut = finish(t, "run", "--config", path)
	if code == cli.ExitFine || !strings.Contains(errOut, "checkpoint import --config "+path+" FILE") {
		t.Errorf("events without a checkpoint: %d: %s", code, errOut)
	}
	code, _, errOut = finish(t, "checkpoint", "import", file, "--config", path)
	if code != cli.ExitFine {
		t.Fatalf("%d: %s", code, errOut)
	}
	fake.Insert("", 2)
	deliver(t, path, 42)
	wantEvents(t, path, "support", 1, 42)
}

func TestCheckpoint_ImportRefuses(t *testing.T) {
	_, url := fakeAPI(t, twochattest.Options{Seed: 83, History: 30})
	path := configure(t, url, "file: { path: "+filepath.Join(t.TempDir(), "events.jsonl")+" }")
	deliver(t, path, 30)
	_, exported, _ := finish(t, "checkpoint", "export", "--config", path, "--stream", "support", "--take-over")
	empty := "file: { path: " + filepath.Join(t.TempDir(), "events.jsonl") + " }"
	other := configure(t, "http://127.0.0.1:1", empty)
	named := configure(t, url, empty)
	replace(t, named, "name: support", "name: sales")
	clear := configure(t, url, empty, "privacy: { identifiers: clear }")
	nothing := configure(t, url, empty)
	for name, c := range map[string]struct{ content, path, want string }{
		"no file of ours":  {`{"a":1}`, nothing, "it is no exported checkpoint"},
		"changed":          {strings.Replace(exported, `"certified": 30`, `"certified": 29`, 1), nothing, "it was changed after it was written"},
		"newer":            {strings.Replace(exported, `"version": 1`, `"version": 9`, 1), nothing, "use the newer version"},
		"another base URL": {exported, other, "of another list"},
		"another name":     {exported, named, "the configuration has no stream of the name support"},
		"another privacy":  {exported, clear, "were written with privacy \"hashed\""},
	} {
		file := filepath.Join(t.TempDir(), "file.json")
		if err := os.WriteFile(file, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		code, out, errOut := finish(t, "checkpoint", "import", file, "--config", c.path)
		if code == cli.ExitFine || !strings.Contains(errOut, c.want) {
			t.Errorf("%s: %d: %s%s", name, code, out, errOut)
		}
	}
	// The sink that the checkpoint came from, but with another message at one of its sequence numbers.
	log := strings.TrimSuffix(strings.TrimPrefix(sinkOf(t, path), "file: { path: "), " }")
	content, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	edited := regexp.MustCompile(`MSG[0-9a-f]{8}`).ReplaceAllString(string(content), "MSG00000000")
	if err := os.WriteFile(log, []byte(edited), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file.json")
	if err := os.WriteFile(file, []byte(exported), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errOut := finish(t, "checkpoint", "import", file, "--config", path, "--take-over")
	wantCode(t, code, cli.ExitFailed)
	clitest.WantText(t, "another log", errOut, "has another message at sequence", "they are of different logs")
}

// sinkOf returns the line of a configuration that names the sink.
func sinkOf(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(content), "sink:\n  ")
	line, _, _ := strings.Cut(after, "\n")
	return line
}

// The refusal of a list under another name names a command. That command, as printed, fixes it on each sink.
func TestCheckpoint_Rename(t *testing.T) {
	t.Parallel()
	fake, url := fakeAPI(t, twochattest.Options{Seed: 84, History: 300})
	total := uint64(300)
	for name, sink := range otherSinks(t) {
		former, path := configure(t, url, sink), configure(t, url, sink)
		replace(t, path, "name: support", "name: sales")
		deliver(t, former, int(total))
		code, _, errOut := finish(t, "run", "--config", path)
		if code == cli.ExitFine {
			t.Fatalf("%s: a list is read under a second name", name)
		}
		hint := regexp.MustCompile("`twochat-connector (checkpoint rename [^`]*)`").FindStringSubmatch(errOut)
		if hint == nil {
			t.Fatalf("%s: no command mends it: %s", name, errOut)
		}
		args := append(strings.Fields(hint[1]), "--config", path, "--take-over")
		code, out, errOut := finish(t, args...)
		if code != cli.ExitFine {
			t.Fatalf("%s: %v: %d: %s", name, args, code, errOut)
		}
		wantGolden(t, "checkpoint_rename.txt", asOf300(out, total))
		code, out, _ = finish(t, args...)
		if code != cli.ExitFine || !strings.Contains(out, "nothing was changed") {
			t.Errorf("%s, again: %d: %s", name, code, out)
		}
		code, out, _ = finish(t, "checkpoint", "show", "--config", former)
		wantCode(t, code, cli.ExitWrong)
		clitest.WantText(t, name, out, `it was renamed to "sales"`, "set `name: sales`")
		fake.Insert("", 5)
		deliver(t, path, int(total)+5)
		wantEvents(t, path, "support", 1, total)
		wantEvents(t, path, "sales", total+1, total+5)
		audited := auditReport(t, cli.ExitFine, "--config", path, "--all").Streams[0]
		if audited.Events != int(total)+5 || len(audited.FormerNames) != 1 || audited.FormerNames[0].Events != int(total) {
			t.Errorf("%s: %+v", name, audited)
		}
		code, _, errOut = finish(t, "run", "--config", former)
		if code == cli.ExitFine || !strings.Contains(errOut, "it was renamed to") {
			t.Errorf("%s: the former name runs: %d: %s", name, code, errOut)
		}
		total += 5
	}
}

// asOf300 rewrites an output as if the log had 300 events.
func asOf300(out string, total uint64) string {
	return strings.NewReplacer(fmt.Sprint(total), "300", fmt.Sprint(total+1), "301").Replace(out)
}

// A rename can be reversed, and the sequence goes on.
func TestCheckpoint_RenameBack(t *testing.T) {
	fake, url := fakeAPI(t, twochattest.Options{Seed: 85, History: 60})
	path := configure(t, url, "file: { path: "+filepath.Join(t.TempDir(), "events.jsonl")+" }")
	deliver(t, path, 60)
	for i, names := range [][2]string{{"support", "sales"}, {"sales", "support"}} {
		code, _, errOut := finish(t, "checkpoint", "rename", names[0], names[1], "--config", path, "--take-over")
		if code != cli.ExitFine {
			t.Fatalf("%v: %d: %s", names, code, errOut)
		}
		replace(t, path, "name: "+names[0], "name: "+names[1])
		fake.Insert("", 2)
		deliver(t, path, 62+2*i)
	}
	if got := eventsBySequence(t, path, "support"); len(got) != 62 || got[63] == "" || got[61] != "" {
		t.Errorf("%d events of support", len(got))
	}
	wantEvents(t, path, "sales", 61, 62)
	if audited := auditReport(t, cli.ExitFine, "--config", path, "--all").Streams[0]; audited.Events != 64 {
		t.Errorf("%+v", audited)
	}
	for args, want := range map[string]string{
		"rename nobody support": "the sink holds no checkpoint of stream nobody",
		"rename nobody nothing": "the configuration has a stream of neither name",
		"rename support sa/les": "expected 1 to 64 letters, digits",
	} {
		code, out, errOut := finish(t, append(strings.Fields("checkpoint "+args), "--config", path, "--take-over")...)
		if code == cli.ExitFine || !strings.Contains(errOut, want) {
			t.Errorf("%s: %d: %s%s", args, code, out, errOut)
		}
	}
}

// A rename that is killed after any of its commits leaves nothing that could be read under both names. The same
// command finishes it.
func TestCheckpoint_RenameThatWasKilled(t *testing.T) {
	t.Parallel()
	fake, url := fakeAPI(t, twochattest.Options{Seed: 86, History: 40})
	count := 40
	for _, commits := range []int{1, 2} {
		for name, sink := range otherSinks(t) {
			if name == "embedded" {
				continue // like JetStream
			}
			former, path := configure(t, url, sink), configure(t, url, sink)
			replace(t, path, "name: support", "name: sales")
			deliver(t, former, count)
			renameInPart(t, former, commits)
			for _, c := range []string{former, path} {
				if commits == 2 && c == path {
					continue // it may already go on under its new name
				}
				code, _, errOut := finish(t, "run", "--config", c)
				if code == cli.ExitFine || !strings.Contains(errOut, "checkpoint rename") {
					t.Errorf("%s after %d commits: %d: %s", name, commits, code, errOut)
				}
			}
			code, _, errOut := finish(t, "checkpoint", "rename", "support", "sales", "--config", path, "--take-over")
			if code != cli.ExitFine {
				t.Fatalf("%s after %d commits: %d: %s", name, commits, code, errOut)
			}
			fake.Insert("", 2)
			deliver(t, path, count+2)
			wantEvents(t, path, "support", 1, uint64(count))
			wantEvents(t, path, "sales", uint64(count)+1, uint64(count)+2)
			count += 2
		}
	}
}

// What was delivered under the new name before the rename is finished stays there.
func TestCheckpoint_RenameOfOneThatWentOn(t *testing.T) {
	t.Parallel()
	fake, url := fakeAPI(t, twochattest.Options{Seed: 89, History: 40})
	sink := "jetstream: { url: '" + embeddedServer(t) + "' }"
	former, path := configure(t, url, sink), configure(t, url, sink)
	replace(t, path, "name: support", "name: sales")
	deliver(t, former, 40)
	renameInPart(t, former, 2)
	fake.Insert("", 2)
	deliver(t, path, 42)
	code, _, errOut := finish(t, "checkpoint", "rename", "support", "sales", "--config", path, "--take-over")
	if code != cli.ExitFine {
		t.Fatalf("%d: %s", code, errOut)
	}
	fake.Insert("", 2)
	deliver(t, path, 44)
	wantEvents(t, path, "sales", 41, 44)
}

// renameInPart makes the first commits of a rename from support to sales.
func renameInPart(t *testing.T, path string, commits int) {
	t.Helper()
	sink, claims := configured(t, path, "checkpoint-killed")
	defer sink.Close()
	claim := claims[0]
	claim.Rename = &connector.Rename{From: "support", To: "sales"}
	log := sink.Log(claim)
	defer log.Close()
	state, err := log.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if commits < 2 {
		return
	}
	claim.Stream.Name = "sales"
	next := sink.Log(claim.With(state.Checkpoint))
	defer next.Close()
	if _, err := next.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Another base URL for the same lists is accepted if the former one proves that they are the same.
func TestCheckpoint_Move(t *testing.T) {
	t.Parallel()
	fake, url := fakeAPI(t, twochattest.Options{Seed: 87, History: 300})
	proxy, err := fake.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = proxy.Close() })
	total := uint64(300)
	for name, sink := range otherSinks(t) {
		former, path := configure(t, url, sink), configure(t, proxy.URL, sink)
		deliver(t, former, int(total))
		code, _, errOut := finish(t, "run", "--config", path)
		if code == cli.ExitFine || !strings.Contains(errOut, "checkpoint move --config "+path+" --from") {
			t.Fatalf("%s: %d: %s", name, code, errOut)
		}
		move := []string{"checkpoint", "move", "--config", path, "--take-over", "--from"}
		code, _, errOut = finish(t, append(move, url)...)
		wantCode(t, code, cli.ExitUsage)
		clitest.WantText(t, name, errOut, "chats would move to other keys and subjects", "--rekey")
		code, _, errOut = finish(t, append(move, "http://127.0.0.1:1", "--rekey")...)
		wantCode(t, code, cli.ExitFailed)
		clitest.WantText(t, name, errOut, "was not written for this number under that base URL")
		code, out, errOut := finish(t, append(move, url+"/", "--rekey")...)
		if code != cli.ExitFine {
			t.Fatalf("%s: %d: %s", name, code, errOut)
		}
		wantGolden(t, "checkpoint_move.txt", asOf300(out, total))
		code, out, _ = finish(t, append(move, url, "--rekey")...)
		if code != cli.ExitFine || !strings.Contains(out, "nothing was changed") {
			t.Errorf("%s, again: %d: %s", name, code, out)
		}
		fake.Insert("", 5)
		deliver(t, path, int(total)+5)
		total += 5
		wantEvents(t, path, "support", 1, total)
		audited := auditReport(t, cli.ExitFine, "--config", path, "--all").Streams[0]
		if audited.Findings.Noted.OtherToken != int(total)-5 {
			t.Errorf("%s: %+v", name, audited)
		}
	}
}

// After a rename and a move, the former name can be taken back.
func TestCheckpoint_RenameBackAfterMove(t *testing.T) {
	t.Parallel()
	fake, url := fakeAPI(t, twochattest.Options{Seed: 94, History: 60})
	proxy, err := fake.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = proxy.Close() })
	sinks := otherSinks(t)
	total := 60
	for _, name := range []string{"file", "JetStream", "kafka"} {
		path := configure(t, url, sinks[name])
		deliver(t, path, total)
		renameStream(t, path, "support", "sales")
		replace(t, path, url, proxy.URL)
		code, _, errOut := finish(t, "checkpoint", "move", "--config", path, "--take-over", "--rekey", "--from", url)
		if code != cli.ExitFine {
			t.Fatalf("%s: %d: %s", name, code, errOut)
		}
		fake.Insert("", 3)
		deliver(t, path, total+3)
		renameStream(t, path, "sales", "support")
		fake.Insert("", 2)
		deliver(t, path, total+5)
		total += 5
		noted := auditReport(t, cli.ExitFine, "--config", path, "--all").Streams[0].Findings.Noted
		if noted.OtherToken != total-5 {
			t.Errorf("%s: %+v", name, noted)
		}
		// The other name is the former one now, and can be taken back as well.
		renameStream(t, path, "support", "sales")
		replace(t, path, proxy.URL, url)
		replace(t, path, "name: sales", "name: support")
	}
}

// Without --take-over an instance that runs, or may run, is not disturbed. With it, nothing is harmed.
func TestCheckpoint_BesideALiveRun(t *testing.T) {
	t.Parallel()
	fake, url := fakeAPI(t, twochattest.Options{Seed: 88, History: 40})
	listen := clitest.ClosedPort(t)
	path := configure(t, url, "jetstream: { url: '"+embeddedServer(t)+"' }")
	replace(t, path, "listen: '127.0.0.1:0'", "listen: '"+listen+"'")
	live := liveStream(t, path)
	until(t, "all is delivered", func() bool { return len(eventsBySequence(t, path, "support")) == 40 })
	for _, args := range []string{"rename support sales", "export --stream support"} {
		code, _, errOut := finish(t, append(strings.Fields("checkpoint "+args), "--config", path)...)
		wantCode(t, code, cli.ExitFailed)
		clitest.WantText(t, args, errOut, "an instance is running with this configuration", "--take-over")
	}
	code, _, errOut := finish(t, "checkpoint", "rename", "support", "sales", "--config", path, "--take-over")
	if code != cli.ExitFine {
		t.Fatalf("%d: %s", code, errOut)
	}
	fake.Insert("", 3)
	until(t, "the instance is refused", func() bool {
		return strings.Contains(live.err.String(), "it was renamed to")
	})
	live.end()
	wantEvents(t, path, "support", 1, 40)

	replace(t, path, "name: support", "name: sales")
	replace(t, path, "max_interval: 1s", "max_interval: 1h")
	replace(t, path, "listen: '"+listen+"'", "listen: '127.0.0.1:0'")
	deliver(t, path, 43)
	code, _, errOut = finish(t, "checkpoint", "rename", "sales", "support", "--config", path)
	wantCode(t, code, cli.ExitFailed)
	clitest.WantText(t, "just stopped", errOut, "an instance may be running: stream sales was last written", "--take-over")
}
