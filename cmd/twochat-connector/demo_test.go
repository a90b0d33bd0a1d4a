package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// The demo shows events as they are stored, audits itself and ends with 0.
func TestDemo_AuditsItself(t *testing.T) {
	var out, errOut bytes.Buffer
	if code := run(t.Context(), &program{out: &out, err: &errOut}, []string{"demo", "--for", "3s", "--seed", "11", "--json"}); code != exitFine {
		t.Fatalf("exit code %d: %s%s", code, errOut.String(), out.String())
	}
	var summary *demoResult
	events := 0
	for scanner := bufio.NewScanner(&out); scanner.Scan(); {
		var line struct {
			Sequence string
			Summary  *demoResult
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
	case summary.wrong() || summary.Seed != 11 || summary.Events < 12 || summary.Listed < 12:
		t.Errorf("summary %+v", *summary)
	case events < 12 || events > summary.Events:
		t.Errorf("%d events shown, %d in the stream", events, summary.Events)
	}
}

func TestDemo_HelpAndUsage(t *testing.T) {
	for args, expected := range map[string]int{"--help": exitFine, "--for -3s": exitUsage, "--for soon": exitUsage, "--what": exitUsage} {
		var out, errOut bytes.Buffer
		if code := run(t.Context(), &program{out: &out, err: &errOut}, append([]string{"demo"}, strings.Fields(args)...)); code != expected {
			t.Errorf("demo %s: exit code %d, expected %d", args, code, expected)
		}
	}
}

func TestDemoResult_Wrong(t *testing.T) {
	if (demoResult{Settled: true, Late: 3, Deleted: 1, Quarantined: 2, Faults: 9}).wrong() {
		t.Error("late, deleted and quarantined messages break no promise")
	}
	for _, r := range []demoResult{{}, {Settled: true, Lost: 1}, {Settled: true, Doubled: 1}, {Settled: true, OutOfOrder: 1}, {Settled: true, Gaps: 1}, {Settled: true, Changed: 1}} {
		if !r.wrong() {
			t.Errorf("%+v is not found wrong", r)
		}
	}
}

func demoEvent(sequence int, message string, late bool) []byte {
	mark := ""
	if late {
		mark = `,"late":true`
	}
	return fmt.Appendf(nil, `{"type":"co.2chat.whatsapp.message.received","subject":"abcdefghijklmnopqrstuvwxyz","sequence":"%020d","recordedtime":"2026-01-31T10:00:00Z"%s,"data":{"message":%s}}`,
		sequence, mark, message)
}

func TestDemoView_Lines(t *testing.T) {
	v := newDemoView(&program{out: &bytes.Buffer{}}, false)
	for _, test := range []struct {
		message, expected string
		late              bool
	}{
		{`{"text":"hello"}`, "#7  ← abcdef  hello", false},
		{`{"text":"hello"}`, "#7  ← abcdef  hello LATE", true},
		{`{"text":"two\nlines\u001b[2J"}`, "#7  ← abcdef  two lines\ufffd[2J", false},
		{`{"media":{"type":"ptt","url":"https://files.invalid/x"}}`, "#7  ← abcdef  [voice note]", false},
		{`{"media":{"type":"image"},"text":"look"}`, "#7  ← abcdef  [image] look", false},
		{`{"order":{"total":1},"text":"1 x bell"}`, "#7  ← abcdef  [order] 1 x bell", false},
		{`null`, "#7  ← abcdef  [nothing in it]", false},
		{`"a plain string"`, "#7  ← abcdef  a plain string", false},
		{`[1]`, "#7  ← abcdef  [nothing in it]", false},
	} {
		line := v.line(demoEvent(7, test.message, test.late))
		if _, shown, _ := strings.Cut(line, "#"); "#"+shown != test.expected {
			t.Errorf("%s:\n%q, expected\n%q", test.message, "#"+shown, test.expected)
		}
	}
}

// Of many events at once the first and the last two are shown, and how many were not.
func TestDemoView_FoldsBursts(t *testing.T) {
	var out bytes.Buffer
	v := newDemoView(&program{out: &out}, false)
	for i := range 300 {
		if err := v.event(demoEvent(i+1, `{"text":"x"}`, false)); err != nil {
			t.Fatal(err)
		}
	}
	v.quiet()
	text := out.String()
	if !strings.Contains(text, fmt.Sprintf("… %d more of this burst …", 300-burstShown-2)) || !strings.Contains(text, "#300 ") || strings.Contains(text, "#200 ") {
		t.Errorf("shown:\n%s", text)
	}
}

func TestClip(t *testing.T) {
	for _, test := range []struct {
		text     string
		columns  int
		expected string
	}{
		{"short", 10, "short"}, {"exactly", 7, "exactly"}, {"too long", 5, "too …"}, {"自転車屋", 8, "自転車屋"}, {"自転車屋さん", 8, "自転車…"}, {"x", 0, ""},
	} {
		got := clip(test.text, test.columns)
		if got != test.expected || !utf8.ValidString(got) {
			t.Errorf("clip(%q, %d) = %q, expected %q", test.text, test.columns, got, test.expected)
		}
	}
}

func FuzzDemoLine(f *testing.F) {
	f.Add([]byte(demoEvent(1, `{"text":"hello"}`, true)))
	f.Add([]byte(`{"data":{"message":7}}`))
	v := newDemoView(&program{out: &bytes.Buffer{}}, false)
	f.Fuzz(func(t *testing.T, event []byte) {
		if line := v.line(event); strings.ContainsAny(line, "\n\r\x1b") {
			t.Errorf("a line that commands the terminal: %q", line)
		}
	})
}
