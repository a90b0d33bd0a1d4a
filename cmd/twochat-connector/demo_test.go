package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/demo"
)

// The demo shows events as they are stored, audits itself, and exits with 0.
func TestDemo_AuditsItself(t *testing.T) {
	t.Parallel()
	var out, errOut bytes.Buffer
	if code := run(t.Context(), &cli.Program{Out: &out, Err: &errOut}, []string{
		"demo", "--for", "3s", "--seed", "11",
		"--json",
	}); code != cli.ExitFine {
		t.Fatalf("exit code %d: %s%s", code, errOut.String(), out.String())
	}
	var summary *demo.Result
	events := 0
	for scanner := bufio.NewScanner(&out); scanner.Scan(); {
		var line struct {
			Sequence string
			Summary  *demo.Result
		}
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			t.Fatalf("a line that is no JSON: %v", err)
		}
		if line.Summary != nil {
			summary = line.Summary
			continue
		}
		if events++; line.Sequence != fmt.Sprintf("%020d", events) {
			t.Fatalf("event %d has the sequence %q", events, line.Sequence)
		}
	}
	switch {
	case summary == nil:
		t.Fatal("no summary")
	case summary.Wrong() || summary.Seed != 11 || summary.Events < 12 || summary.Listed < 12:
		t.Errorf("summary %+v", *summary)
	case events < 12 || events > summary.Events:
		t.Errorf("%d events shown, %d in the stream", events, summary.Events)
	}
}

func TestDemo_HelpAndUsage(t *testing.T) {
	for args, expected := range map[string]int{
		"--help": cli.ExitFine, "--for -3s": cli.ExitUsage,
		"--for soon": cli.ExitUsage, "--what": cli.ExitUsage,
	} {
		var out, errOut bytes.Buffer
		if code := run(t.Context(), &cli.Program{Out: &out, Err: &errOut},
			append([]string{"demo"}, strings.Fields(args)...)); code != expected {
			t.Errorf("demo %s: exit code %d, expected %d", args, code, expected)
		}
	}
}
