package config

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector/twochat"
)

const (
	columnsTop = "<!-- columns: written by go test ./config -run README -update -->\n"
	columnsEnd = "<!-- end of columns -->\n"

	keysTop = "<!-- keys: written by go test ./config -run README -update -->\n"
	keysEnd = "<!-- end of keys -->\n"
)

// page reads a page for people.
func page(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// keysTable is the reference of the configuration as the page shows it.
func keysTable() string {
	code := func(text string) string {
		if text == "" {
			return ""
		}
		return "`" + text + "`"
	}
	var out strings.Builder
	out.WriteString("\n| key | environment | default | meaning |\n|---|---|---|---|\n")
	for _, key := range Reference() {
		meaning := strings.ReplaceAll(key.Doc, "|", `\|`)
		fmt.Fprintf(&out, "| %s | %s | %s | %s |\n", code(key.Path), code(key.Variable), code(key.Default), meaning)
	}
	return out.String() + "\n"
}

// columnsTable is the table of a row's columns as the page shows it.
func columnsTable() string {
	var out strings.Builder
	out.WriteString("\n| column | `null` | meaning |\n|---|---|---|\n")
	for _, column := range twochat.Columns() {
		null := "where there is none"
		if column.Always {
			null = "never"
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s |\n", column.Name, null, column.Doc)
	}
	return out.String() + "\n"
}

// Tables that exist in the code are not written by hand.
func TestREADME_Tables(t *testing.T) {
	for _, table := range []struct{ top, expected, end string }{
		{keysTop, keysTable(), keysEnd}, {columnsTop, columnsTable(), columnsEnd},
	} {
		text := page(t, "README.md")
		before, rest, found := strings.Cut(text, table.top)
		shown, after, ended := strings.Cut(rest, table.end)
		if !found || !ended {
			t.Fatalf("the page has no place for what is between %q and %q", table.top, table.end)
		}
		if shown == table.expected {
			continue
		}
		if !*update {
			t.Errorf("the table below %q is not that of the code: go test ./config -run README -update", table.top)
			continue
		}
		if err := os.WriteFile("README.md", []byte(before+table.top+table.expected+table.end+after), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	kinds := "`" + strings.Join(twochat.Kinds(), "`, `") + "`"
	if words := strings.Join(strings.Fields(page(t, "README.md")), " "); !strings.Contains(words, kinds) {
		t.Errorf("the page does not name the kinds: %s", kinds)
	}
}

// Every key has a row, and every row explains its key.
func TestREADME_KeysAreWhole(t *testing.T) {
	row := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (?:`(TWOCHAT_CONNECTOR_[A-Z_]+)`)? ?\\| [^|]*\\| (.*) \\|$")
	rows := row.FindAllStringSubmatch(page(t, "README.md"), -1)
	if keys := Reference(); len(rows) != len(keys) || len(rows) < 80 {
		t.Errorf("%d rows for %d keys", len(rows), len(keys))
	}
	for _, r := range rows {
		if r[3] == "" {
			t.Errorf("%s: the page does not say what it means", r[1])
		}
		if listed := strings.Contains(r[1], "[]"); listed != (r[2] == "") {
			t.Errorf("%s: its environment variable is %q", r[1], r[2])
		}
	}
}

// Load accepts the configurations on the pages. One that shows only a sink lacks nothing but the streams.
func TestREADME_Examples(t *testing.T) {
	example := regexp.MustCompile("(?s)```yaml\n(.*?)```\n")
	for path, want := range map[string]int{"../README.md": 1, "README.md": 1, "../sinks/README.md": 4} {
		found := example.FindAllStringSubmatch(page(t, path), -1)
		if len(found) < want {
			t.Errorf("%s shows %d configurations, want %d", path, len(found), want)
		}
		for _, e := range found {
			text := e[1]
			if !strings.Contains(text, "twochat:") && !strings.Contains(text, "accounts:") {
				text = "twochat: { api_key_file: /etc/twochat/api-key, streams: [{ number: \"+595981048477\", name: shop }] }\n" +
					text
			}
			if _, err := Load(write(t, text), nil); err != nil {
				t.Errorf("%s: %v:\n%s", path, err, e[1])
			}
		}
	}
}
