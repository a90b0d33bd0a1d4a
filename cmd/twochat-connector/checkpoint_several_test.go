package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// threeNumbers are those of a fake API for a configuration with the streams support, sales and office.
var threeNumbers = []string{twochattest.DefaultNumber, "+595981048478", "+595981048479"}

// configureThree is configure with three streams.
func configureThree(t *testing.T, baseURL, sink string, more ...string) string {
	t.Helper()
	path := configure(t, baseURL, sink, more...)
	of := func(i int, name string) string { return fmt.Sprintf("{ number: %q, name: %s }", threeNumbers[i], name) }
	replace(t, path, of(0, "support"), of(0, "support")+", "+of(1, "sales")+", "+of(2, "office"))
	return path
}

// deliverStreams runs the connector until each of the streams is certified up to the same sequence.
func deliverStreams(t *testing.T, path string, streams, certified int, more ...string) {
	t.Helper()
	r := start(t, append([]string{"run", "--config", path}, more...)...)
	admin := r.admin()
	until(t, "the history of all streams", func() bool {
		_, body := get(t, admin+"/status")
		return strings.Count(body, fmt.Sprintf(`"certified": %d`, certified)) == streams
	})
	wantCode(t, r.end(), cli.ExitFine)
}

// twoURLs serves the same lists under two base URLs.
func twoURLs(t *testing.T, o twochattest.Options) (fake *twochattest.Fake, url, moved string) {
	t.Helper()
	fake, url = fakeAPI(t, o)
	second, err := fake.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = second.Close() })
	return fake, url, second.URL
}

// If one stream cannot be moved, none is: what is wrong is found, all of it, before anything is written.
func TestCheckpoint_MoveIsAllOrNothing(t *testing.T) {
	t.Parallel()
	_, url, moved := twoURLs(t, twochattest.Options{Seed: 101, History: 30, Numbers: threeNumbers})
	sinks := otherSinks(t)
	for _, name := range []string{"file", "JetStream", "kafka"} {
		former := configureThree(t, url, sinks[name])
		deliverStreams(t, former, 3, 30)
		// Two of the streams get a name under which another list is read, so that they do not fit the configuration.
		swapped := configureThree(t, moved, sinks[name])
		for _, of := range [][2]string{{"sales", "x"}, {"office", "sales"}, {"x", "office"}} {
			replace(t, swapped, "name: "+of[0], "name: "+of[1])
		}
		move := []string{"checkpoint", "move", "--take-over", "--rekey", "--from", url, "--config"}
		code, out, errOut := finish(t, append(move, swapped)...)
		wantCode(t, code, cli.ExitFailed)
		clitest.WantText(t, name, out+errOut, "stream sales was not written for this number",
			"stream office was not written for this number")
		if code, out, _ := finish(t, "checkpoint", "show", "--config", former); code != cli.ExitFine {
			t.Errorf("%s: a move that was refused has changed something: %s", name, out)
		}
		// One of them was moved before, as if an earlier run had been killed: the same command goes on with the others.
		path := configureThree(t, moved, sinks[name])
		code, _, errOut = finish(t, append(move, path, "--stream", "sales")...)
		if code != cli.ExitFine {
			t.Fatalf("%s: %d: %s", name, code, errOut)
		}
		code, out, errOut = finish(t, append(move, path)...)
		if code != cli.ExitFine {
			t.Fatalf("%s: %d: %s", name, code, errOut)
		}
		clitest.WantText(t, name, out, "stream sales is of this base URL already",
			"stream support is of the configured base URL", "stream office is of the configured base URL")
		deliverStreams(t, path, 3, 30)
	}
}

// Another base URL and another privacy mode, or another pseudonym key, are accepted together. Each hint leads on.
func TestCheckpoint_MoveToAnotherPrivacy(t *testing.T) {
	_, url, moved := twoURLs(t, twochattest.Options{Seed: 102, History: 30})
	key := func(content string) string {
		path := filepath.Join(t.TempDir(), "key")
		writeText(t, path, content)
		return "privacy: { identifiers: pseudonymous, key_file: " + path + " }"
	}
	one, other := key(strings.Repeat("k", 40)), key(strings.Repeat("l", 40))
	for name, privacy := range map[string][2]string{
		"clear from hashed":              {"", "privacy: { identifiers: clear }"},
		"pseudonymous from clear":        {"privacy: { identifiers: clear }", one},
		"pseudonymous from hashed":       {"", one},
		"hashed from pseudonymous":       {one, ""},
		"pseudonymous with another key":  {one, other},
		"pseudonymous with the same key": {one, one},
		"clear":                          {"privacy: { identifiers: clear }", "privacy: { identifiers: clear }"},
	} {
		sink := "file: { path: " + filepath.Join(t.TempDir(), "events.jsonl") + " }"
		former, path := configure(t, url, sink, privacy[0]), configure(t, moved, sink, privacy[1])
		deliver(t, former, 30)
		needed := privacy[1] == "" || privacy[0] != privacy[1]
		move := []string{"checkpoint", "move", "--config", path, "--from", url}
		code, out, errOut := finish(t, move...)
		if needed {
			if code == cli.ExitFine || !strings.Contains(errOut, "with --rekey") {
				t.Errorf("%s, without a word: %d: %s%s", name, code, out, errOut)
			}
			code, _, errOut = finish(t, append(move, "--rekey")...)
		}
		if code != cli.ExitFine {
			t.Errorf("%s: %d: %s", name, code, errOut)
			continue
		}
		if code, out, _ := finish(t, "checkpoint", "show", "--config", path); code != cli.ExitFine {
			t.Errorf("%s: it cannot go on: %s", name, out)
		}
	}
}

// After a name was taken back, a rename says which of the events lie under it.
func TestCheckpoint_RenameSaysWhatLiesUnderTheName(t *testing.T) {
	fake, url := fakeAPI(t, twochattest.Options{Seed: 103, History: 40})
	path := configure(t, url, "file: { path: "+filepath.Join(t.TempDir(), "events.jsonl")+" }")
	deliver(t, path, 40)
	for _, of := range []struct {
		from, to, want string
		add            int
	}{
		{"support", "sales", "the events up to 40 stay under the name support", 2},
		{"sales", "support", "the events from 41 to 42 stay under the name sales", 0},
		{"support", "office", "no event was written under the name support since the stream got it", 3},
		{"office", "shop", "the events from 43 to 45 stay under the name office, and earlier ones where they are", 1},
		{"shop", "office", "the events from 46 to 46 stay under the name shop", 0},
	} {
		code, out, errOut := finish(t, "checkpoint", "rename", of.from, of.to, "--config", path)
		if code != cli.ExitFine || !strings.Contains(strings.Join(strings.Fields(out), " "), of.want) {
			t.Errorf("%s to %s: %d, want %q: %s%s", of.from, of.to, code, of.want, out, errOut)
		}
		replace(t, path, "name: "+of.from, "name: "+of.to)
		if of.add > 0 {
			fake.Insert("", of.add)
			deliver(t, path, len(fake.Truth("")))
		}
	}
}

// An import finds what lies in the sink under former names: it is not said to be missing, and another log is refused.
func TestCheckpoint_ImportReadsFormerNames(t *testing.T) {
	t.Parallel()
	fake, url := fakeAPI(t, twochattest.Options{Seed: 105, History: 20})
	here := configure(t, url, "file: { path: "+filepath.Join(t.TempDir(), "events.jsonl")+" }")
	there := configure(t, url, "file: { path: "+filepath.Join(t.TempDir(), "events.jsonl")+" }")
	file := func(path, stream string) string {
		t.Helper()
		name := filepath.Join(t.TempDir(), "exported.json")
		export := []string{"checkpoint", "export", "--stream", stream, "--take-over", "--out", name}
		code, _, errOut := finish(t, append(export, "--config", path)...)
		if code != cli.ExitFine {
			t.Fatalf("%d: %s", code, errOut)
		}
		return name
	}
	deliver(t, here, 20)
	first := file(here, "support")
	code, _, errOut := finish(t, "checkpoint", "import", first, "--config", there)
	if code != cli.ExitFine {
		t.Fatalf("%d: %s", code, errOut)
	}
	fake.Insert("", 5)
	deliver(t, there, 25)
	renameStream(t, here, "support", "sales")
	renameStream(t, there, "support", "sales")
	later := file(there, "sales")
	code, out, errOut := finish(t, "checkpoint", "import", later, "--config", here)
	if code != cli.ExitFine || !strings.Contains(unfolded(out), "the newest events up to 25 are not in this sink") {
		t.Errorf("%d: %s%s", code, out, errOut)
	}
	if audited := auditReport(t, cli.ExitFine, "--config", here, "--all").Streams[0]; audited.Events != 20 ||
		audited.Findings.Noted.Elsewhere != 5 {
		t.Errorf("%+v", audited)
	}
	// A sink whose former name has other messages at the same sequences holds another log.
	_, other := fakeAPI(t, twochattest.Options{Seed: 106, History: 22})
	fork := configure(t, other, "file: { path: "+filepath.Join(t.TempDir(), "events.jsonl")+" }")
	deliver(t, fork, 22)
	renameStream(t, fork, "support", "sales")
	forked := configure(t, url, sinkOf(t, fork))
	replace(t, forked, "name: support", "name: sales")
	code, _, errOut = finish(t, "checkpoint", "move", "--from", other, "--rekey", "--config", forked)
	if code != cli.ExitFine {
		t.Fatalf("%d: %s", code, errOut)
	}
	code, _, errOut = finish(t, "checkpoint", "import", later, "--config", forked)
	wantCode(t, code, cli.ExitFailed)
	clitest.WantText(t, "another log", errOut, "has another message at sequence")
}

// A fault of the sink as a whole is refused once, however many streams meet it.
func TestCheck_RefusesOnceWhatIsWrongWithTheSink(t *testing.T) {
	t.Parallel()
	_, url := fakeAPI(t, twochattest.Options{Seed: 104, History: 10, Numbers: threeNumbers})
	path := configureThree(t, url, "file: { path: "+filepath.Join(t.TempDir(), "events.jsonl")+" }")
	r := start(t, "run", "--config", path)
	r.admin()
	until(t, "it has the file", func() bool {
		code, out, _ := finish(t, "check", "--config", path)
		return code == cli.ExitWrong && strings.Contains(out, "another process is")
	})
	_, out, _ := finish(t, "check", "--config", path)
	if n := strings.Count(out, "another process is"); n != 1 {
		t.Errorf("check refuses it %d times: %s", n, out)
	}
	code, _, errOut := finish(t, "run", "--config", path)
	wantCode(t, code, cli.ExitFailed)
	if n := strings.Count(errOut, `"msg":"ended"`); n != 1 {
		t.Errorf("run ends for it %d times: %s", n, errOut)
	}
	code, _, errOut = finish(t, "checkpoint", "move", "--from", "http://127.0.0.1:1", "--config",
		configureThree(t, url+"/x", sinkOf(t, path)), "--rekey")
	wantCode(t, code, cli.ExitFailed)
	if strings.Contains(errOut, "--take-over") {
		t.Errorf("a lock is not taken over: %s", errOut)
	}
}
