package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/kafka"
	"github.com/twochat-connector/twochat-connector/sinks/secret"
)

func TestFileSecret_ReadsAgainWhenChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	put := func(content string, changed time.Time) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, changed, changed); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(file FileSecret, want string) {
		t.Helper()
		if got, err := file.Read(); got != want || err != nil {
			t.Errorf("Read = %q, %v; want %q", got, err, want)
		}
	}
	then := time.Now().Add(-time.Hour)
	put("first\n", then)
	file := NewFileSecret(path)
	expect(file, "first")

	put("again\n", then)
	expect(file, "first") // same inode, size and time, so taken for unchanged
	put("again\n", then.Add(time.Second))
	expect(file, "again")
	put("longer still\r\n", then.Add(time.Second))
	expect(file, "longer still")
	copied := file
	put("two\n\n", then)
	expect(copied, "two\n") // only one newline is removed
	expect(file, "two\n")

	// As Kubernetes does: another file under the same name, here of the same size and age.
	next := path + ".next"
	if err := os.WriteFile(next, []byte("six\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(next, then, then); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
	expect(file, "six\n")

	put("\n", then)
	if got, err := file.Read(); err == nil {
		t.Errorf("Read of an empty file = %q", got)
	}
	put(strings.Repeat("k", secret.MaxBytes+1), then)
	if _, err := file.Read(); err == nil || strings.Contains(err.Error(), "kkk") {
		t.Errorf("Read of a huge file: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got, err := file.Read(); err == nil {
		t.Errorf("Read of no file = %q: a withdrawn key must not be used on", got)
	}
	if got, err := (FileSecret{}).Read(); err == nil {
		t.Errorf("Read of nothing = %q", got)
	}
}

func TestConfig_APIKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte("UAKfile\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	variable := "TWOCHAT_CONNECTOR_TWOCHAT_API_KEY_FILE=" + path
	for _, test := range []struct {
		env  []string
		want string
	}{
		{[]string{variable}, "UAKfile"},
		{[]string{variable, "TWOCHAT_API_KEY="}, "UAKfile"},
		{[]string{variable, "TWOCHAT_API_KEY=UAKvariable"}, "UAKvariable"},
	} {
		c, err := Load("testdata/small.yaml", test.env)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.APIKey(); got != test.want || err != nil {
			t.Errorf("APIKey with %v = %q, %v", test.env, got, err)
		}
	}
	if err := os.WriteFile(path, []byte("UAK canary\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load("testdata/small.yaml", []string{variable})
	if err != nil {
		t.Fatal(err)
	}
	if key, err := c.APIKey(); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("APIKey with blanks = %q, %v", key, err)
	}
	if key, err := (&Config{}).APIKey(); err == nil {
		t.Errorf("APIKey of nothing = %q", key)
	}
}

func TestConfig_Findings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	c, err := Load("testdata/small.yaml", []string{"TWOCHAT_CONNECTOR_TWOCHAT_API_KEY_FILE=" + path})
	if err != nil {
		t.Fatal(err)
	}
	texts := func() string {
		var all []string
		for _, f := range c.Findings() {
			all = append(all, fmt.Sprintf("%s %s", f.Level, f.Thing))
		}
		return strings.Join(all, ", ")
	}
	if got := texts(); got != "refused twochat.api_key_file" {
		t.Errorf("without the file: %s", got)
	}
	if err := os.WriteFile(path, []byte("UAKcanary"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := texts(); got != "" {
		t.Errorf("with the file: %s", got)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	c.Poll.Sweep.Every, c.Events.Headers = 0, true
	if got := texts(); got != "warning twochat.api_key_file, warning poll.sweep.every, warning events.headers" {
		t.Errorf("weak: %s", got)
	}
	c.apiKey = "UAKcanary"
	if got := texts(); strings.Contains(got, "api_key_file") {
		t.Errorf("the file is not used: %s", got)
	}
}

// TestFindings_Headers names the configuration's problems with events.headers wherever it is set.
func TestFindings_Headers(t *testing.T) {
	for name, c := range map[string]struct {
		mode  connector.Mode
		kafka bool
		want  string
	}{
		"structured":   {connector.ModeStructured, true, "SDK for Python"},
		"binary":       {connector.ModeBinary, true, "anyway"},
		"another sink": {connector.ModeStructured, false, "only the sink kafka"},
	} {
		config := Default()
		config.Events.Mode, config.Events.Headers = c.mode, true
		if c.kafka {
			config.Sink.Kafka = &kafka.Config{Brokers: []string{"127.0.0.1:9092"}}
		}
		found := slices.DeleteFunc(config.Findings(), func(f connector.Finding) bool { return f.Thing != "events.headers" })
		if len(found) != 1 || !strings.Contains(found[0].Text, c.want) || found[0].Level != connector.FindingWarning {
			t.Errorf("%s: %v", name, found)
		}
	}
}
