package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
)

// Every command and flag is in the script of each shell. Where the shell is installed, it accepts the script.
func TestCompletion(t *testing.T) {
	for shell, flag := range map[string]string{"bash": "--", "zsh": "--", "fish": "-l "} {
		t.Run(shell, func(t *testing.T) {
			code, script, _ := finish(t, "completion", shell)
			wantCode(t, code, cli.ExitFine)
			for _, c := range commands() {
				clitest.WantText(t, "the script", script, c.name)
				for _, word := range c.words {
					clitest.WantText(t, c.name, script, word)
				}
				for _, name := range flagsOf(t, c.name) {
					clitest.WantText(t, c.name, script, flag+name)
				}
			}
			path, err := exec.LookPath(shell)
			if err != nil {
				t.Skipf("there is no %s on this machine: its script is not tried", shell)
			}
			cmd := exec.CommandContext(t.Context(), path, "-n")
			cmd.Stdin = strings.NewReader(script)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

// bash completes as in real use.
func TestCompletion_Bash(t *testing.T) {
	path, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash on this machine")
	}
	_, script, _ := finish(t, "completion", "bash")
	for typed, want := range map[string]string{
		"tai": "tail", "co": "completion", "help che": "check checkpoint", "tail --no-": "--no-follow",
		"tail --si":   "--since --sink",
		"check --off": "--offline", "tail --config /etc/hostnam": "/etc/hostname", "nonsense --": "",
		"quarantine _": "list show replay", "quarantine s": "show", "quarantine --ra": "--raw",
		"quarantine show --ra": "--raw",
		"schema _":             "event row config asyncapi", "completion _": "bash fish zsh", "demo --data _": "item row",
		"demo --data r": "row", "completion bash --": "--help",
	} {
		words := strings.Fields("twochat-connector " + typed)
		if last := len(words) - 1; words[last] == "_" { // nothing of it is typed yet
			words[last] = ""
		}
		cmd := exec.CommandContext(t.Context(), path, "-c", script+`
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _twochat_connector; echo "${COMPREPLY[*]}"`, "bash")
		cmd.Args = append(cmd.Args, words...)
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%q is completed to %q, want %q: %v", typed, got, want, err)
		}
	}
}

func TestCompletion_Refuses(t *testing.T) {
	for _, args := range [][]string{nil, {"tcsh"}, {"bash", "zsh"}} {
		code, out, errOut := finish(t, append([]string{"completion"}, args...)...)
		wantCode(t, code, cli.ExitUsage)
		if out != "" || !strings.Contains(errOut, "twochat-connector completion: expected ") {
			t.Errorf("%v: %s%s", args, out, errOut)
		}
	}
}

// The completed words after a command are those that the command accepts: it refuses others, and names these.
func TestCompletion_WordsAreTheCommandsOwn(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, c := range commands() {
		if c.words == nil {
			continue
		}
		code, _, errOut := finish(t, c.name, "nonsense")
		wantCode(t, code, cli.ExitUsage)
		clitest.WantText(t, c.name, errOut, strings.Join(c.words, ", "))
		for _, word := range c.words {
			if _, _, errOut := finish(t, c.name, word, "--nonsense"); !strings.Contains(errOut, "unknown flag") {
				t.Errorf("%s %s: %s", c.name, word, errOut)
			}
		}
	}
}
