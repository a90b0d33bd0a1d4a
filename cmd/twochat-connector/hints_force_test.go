package main

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// ownCommand is one of the program's commands in backticks, as texts have it.
var ownCommand = regexp.MustCompile("`(?:[^`\n]* )?(twochat-connector [^`\n]*)`")

// printedCommands are the commands of all texts of the program, each once, with something in place of what is only known
// at run time.
func printedCommands(t *testing.T, file string) []string {
	t.Helper()
	stand := strings.NewReplacer("--accept-partitions %d", "--accept-partitions 0",
		"--number %s", "--number "+twochattest.DefaultNumber, "help …", "help audit", "%s %s", "support sales",
		"%s", "support", "FILE", file, "…", "support", "NAME", "support", "FORMER-URL", "http://127.0.0.1:1",
		"http://ADDRESS", "http://127.0.0.1:1", "ID", "reject-x", "%d", "1")
	var list []string
	seen := map[string]bool{}
	for _, s := range texts(t) {
		for _, found := range ownCommand.FindAllStringSubmatch(s.text, -1) {
			if command := stand.Replace(found[1]); !seen[command] {
				seen[command] = true
				list = append(list, command)
			}
		}
	}
	return list
}

// Every command in a text works as printed, with the configuration that was in force when it was printed: it is not
// refused as a wrong command line.
func TestHints_WorkAsPrinted(t *testing.T) {
	list := printedCommands(t, filepath.Join(t.TempDir(), "support.json"))
	t.Chdir(t.TempDir())
	_, url := fakeAPI(t, twochattest.Options{Seed: 31, History: 20})
	if len(list) < 20 {
		t.Fatalf("only %d commands are printed: %q", len(list), list)
	}
	for _, command := range list {
		path := configure(t, url, "file: { path: "+filepath.Join(t.TempDir(), "events.jsonl")+" }")
		printed := (cli.InForce{File: path}).Commands("`" + command + "`")
		words := strings.Fields(strings.Trim(printed, "`"))[1:]
		switch own := slices.Contains(words, "--config") || slices.Contains(words, "--number"); {
		case words[0] == "support", words[0] == "demo": // not known here, or it makes its own configuration
			continue
		case own && !strings.Contains(printed, path), slices.Contains(words, "--admin"): // it says so itself
			continue
		case words[0] != "help" && !own:
			t.Errorf("%s does not name the configuration", printed)
		}
		r := startWith(t, []string{"TWOCHAT_API_KEY=" + testKey}, words...)
		if words[0] == "run" {
			until(t, printed, func() bool { return r.over() || r.logged("started", "admin") != "" })
			r.stop()
		}
		code, said := r.wait(), r.out.String()+r.err.String()
		if code == cli.ExitUsage && !strings.Contains(said, "--rekey") { // that is for the operator to decide
			t.Errorf("%s is refused: %s", printed, said)
		}
	}
}

// Hints of all kinds name the configuration in force: in errors, findings, texts and logs, as text and as JSON.
func TestHints_NameTheConfiguration(t *testing.T) {
	t.Parallel()
	fake, url := fakeAPI(t, twochattest.Options{Seed: 32, History: 20})
	fake.Poison("", twochattest.Poisons()[0])
	dir := t.TempDir()
	path := configure(t, url, "file: { path: "+filepath.Join(dir, "events.jsonl")+" }")
	named := func(what, said, command string) {
		t.Helper()
		named := "twochat-connector " + strings.Fields(command)[0] + "( [a-z]+)? --config " + regexp.QuoteMeta(path)
		if !regexp.MustCompile(named).MatchString(said) {
			t.Errorf("%s names %s without the configuration: %.3000s", what, command, said)
		}
	}
	_, _, errOut := finish(t, "audit", "--all", "--config", path)
	named("an error", errOut, "run")
	_, out, _ := finish(t, "checkpoint", "show", "--json", "--config", path)
	named("an error in JSON", out, "check")
	_, out, _ = finish(t, "check", "--config", path)
	named("check", out, "explain")

	live := liveStream(t, path)
	_, body := get(t, live.admin()+"/status")
	named("/status", body, "quarantine list")
	_, out, _ = finish(t, "status", "--admin", live.admin())
	named("status", out, "quarantine list")
	replace(t, path, "min_interval: 1s", "min_intervall: 1s")
	until(t, "the file is refused", func() bool {
		return live.logged("the configuration file has changed and is refused; the configuration before it stays in force", "hint") != ""
	})
	named("the log", live.err.String(), "check --offline")
	replace(t, path, "min_intervall: 1s", "min_interval: 1s")
	wantCode(t, live.end(), cli.ExitFine)

	fake.Delete("", 1)
	_, out, _ = finish(t, "quarantine", "replay", "--config", path)
	named("replay", out, "quarantine show")
	_, out, _ = finish(t, "checkpoint", "show", "--stream", "nobody", "--json", "--config", path)
	named("checkpoint show", out, "check")

	// Without a file, the flags name it.
	sink := "file:" + filepath.Join(dir, "none.jsonl")
	r := startWith(t, []string{"TWOCHAT_API_KEY=" + testKey}, "audit", "--all", "--number", twochattest.DefaultNumber,
		"--sink", sink)
	wantCode(t, r.wait(), cli.ExitFailed)
	clitest.WantText(t, "an error of the short form", r.err.String(),
		"twochat-connector run --number "+twochattest.DefaultNumber+" --sink "+sink)
}

// The log of run names the configuration in the hints of what it waits for.
func TestHints_NameTheConfigurationInTheLog(t *testing.T) {
	fake, url := fakeAPI(t, twochattest.Options{Seed: 33, History: 5})
	path := configure(t, url, "file: { path: "+filepath.Join(t.TempDir(), "events.jsonl")+" }")
	for range 9 {
		fake.Next(twochattest.Status(400, twochattest.BodyDetail))
	}
	r := start(t, "run", "--config", path)
	until(t, "a hint", func() bool { return strings.Contains(r.err.String(), "`twochat-connector check ") })
	for line := range strings.Lines(r.err.String()) {
		for _, found := range ownCommand.FindAllStringSubmatch(line, -1) {
			if !strings.Contains(found[1], "--config "+path) {
				t.Errorf("the log names a command without the configuration: %s", line)
			}
		}
	}
}
