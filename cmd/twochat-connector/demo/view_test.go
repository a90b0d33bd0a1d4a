package demo

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
)

func TestDemoResult_Wrong(t *testing.T) {
	if (Result{Settled: true, Late: 3, Deleted: 1, Quarantined: 2, Faults: 9}).Wrong() {
		t.Error("late, deleted and quarantined messages break no promise")
	}
	for _, r := range []Result{
		{},
		{Settled: true, Lost: 1},
		{Settled: true, Doubled: 1},
		{Settled: true, OutOfOrder: 1},
		{Settled: true, Gaps: 1},
		{Settled: true, Changed: 1},
	} {
		if !r.Wrong() {
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
	v := newView(&cli.Program{Out: &bytes.Buffer{}}, false)
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

// Of many events at once the first and the last two are shown, and the number of those between.
func TestDemoView_FoldsBursts(t *testing.T) {
	var out bytes.Buffer
	v := newView(&cli.Program{Out: &out}, false)
	for i := range 300 {
		if err := v.event(demoEvent(i+1, `{"text":"x"}`, false)); err != nil {
			t.Fatal(err)
		}
	}
	v.quiet()
	text := out.String()
	if !strings.Contains(text, fmt.Sprintf("… %d more of this burst …", 300-burstShown-2)) ||
		!strings.Contains(text, "#300 ") || strings.Contains(text, "#200 ") {
		t.Errorf("shown:\n%s", text)
	}
}

func FuzzDemoLine(f *testing.F) {
	f.Add([]byte(demoEvent(1, `{"text":"hello"}`, true)))
	f.Add([]byte(`{"data":{"message":7}}`))
	v := newView(&cli.Program{Out: &bytes.Buffer{}}, false)
	f.Fuzz(func(t *testing.T, event []byte) {
		if line := v.line(event); strings.ContainsAny(line, "\n\r\x1b") {
			t.Errorf("a line that commands the terminal: %q", line)
		}
	})
}
