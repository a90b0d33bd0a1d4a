package main

import (
	"bytes"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
)

var updateReadme = flag.Bool("update", false, "write the README's table of the configuration anew")

const (
	readmePath       = "../../README.md"
	configurationTop = "<!-- configuration: written by go test ./cmd/twochat-connector -run README -update -->\n"
	configurationEnd = "<!-- end of configuration -->\n"
)

func readme(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(readmePath)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// configurationTable is the reference of the configuration as the README shows it.
func configurationTable() string {
	var out strings.Builder
	out.WriteString("\n| key | default | meaning |\n|---|---|---|\n")
	for _, key := range config.Reference() {
		preset := ""
		if key.Default != "" {
			preset = "`" + key.Default + "`"
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s |\n", key.Path, preset, strings.ReplaceAll(key.Doc, "|", `\|`))
	}
	return out.String() + "\n"
}

func TestREADME_Configuration(t *testing.T) {
	text := readme(t)
	before, rest, found := strings.Cut(text, configurationTop)
	table, after, ended := strings.Cut(rest, configurationEnd)
	if !found || !ended {
		t.Fatal("the README has no place for the table of the configuration")
	}
	expected := configurationTable()
	if *updateReadme {
		if err := os.WriteFile(readmePath, []byte(before+configurationTop+expected+configurationEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if table != expected {
		t.Error("the table of the configuration is not that of config.Reference: go test ./cmd/twochat-connector -run README -update")
	}
}

// The example of a configuration is one.
func TestREADME_Example(t *testing.T) {
	_, rest, found := strings.Cut(readme(t), "```yaml\n")
	example, _, ended := strings.Cut(rest, "```\n")
	if !found || !ended {
		t.Fatal("the README has no example of a configuration")
	}
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(example), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(path, nil); err != nil {
		t.Errorf("the README's example: %v", err)
	}
}

// metricNames lists the connector's metrics, as they are registered.
func metricNames(t *testing.T) []string {
	t.Helper()
	registry := newRegistry()
	connector.NewMetrics(registry)
	registry.MustRegister(connector.NewBudget(connector.BudgetConfig{Streams: 1, Interval: time.Minute, Logger: slog.New(slog.DiscardHandler)}))
	registry.MustRegister(unknownMembers(func() uint64 { return 0 }))
	descriptions := make(chan *prometheus.Desc)
	go func() {
		defer close(descriptions)
		registry.Describe(descriptions)
	}()
	name := regexp.MustCompile(`fqName: "(twochat_connector_[a-z_]+)"`)
	var names []string
	for description := range descriptions {
		if found := name.FindStringSubmatch(description.String()); found != nil {
			names = append(names, found[1])
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func TestREADME_Metrics(t *testing.T) {
	registered := metricNames(t)
	named := regexp.MustCompile(`twochat_connector_[a-z_]+`).FindAllString(readme(t), -1)
	slices.Sort(named)
	named = slices.Compact(named)
	for _, name := range registered {
		if !slices.Contains(named, name) {
			t.Errorf("the README does not name %s", name)
		}
	}
	for _, name := range named {
		if !slices.Contains(registered, name) {
			t.Errorf("the README names %s, which is no metric", name)
		}
	}
}

// Every file and section that the README links to has to be there.
func TestREADME_Links(t *testing.T) {
	text := readme(t)
	for _, link := range regexp.MustCompile(`\]\(([^)#]+)\)`).FindAllStringSubmatch(text, -1) {
		if strings.HasPrefix(link[1], "https://") {
			continue
		}
		if _, err := os.Stat(filepath.Join("../..", link[1])); err != nil {
			t.Errorf("the README links to %s: %v", link[1], err)
		}
	}
	for _, heading := range regexp.MustCompile(`\]\(#([^)]+)\)`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(strings.ToLower(text), "\n## "+strings.ReplaceAll(heading[1], "-", " ")) {
			t.Errorf("the README links to its section %s, which it does not have", heading[1])
		}
	}
}

// Every command of the program that the README shows exists, with its flags.
func TestREADME_Commands(t *testing.T) {
	text := readme(t)
	help := func(args ...string) string {
		var out, errOut bytes.Buffer
		if code := run(t.Context(), &program{out: &out, err: &errOut}, args); code != exitFine {
			t.Errorf("%v: exit code %d: %s", args, code, errOut.String())
		}
		return out.String()
	}
	shown := regexp.MustCompile("(?:twochat-connector |`)(run|demo|check|explain|status|tail|audit|backfill|schema|version)((?: [^`\n]*)?)[`\n]").FindAllStringSubmatch(text, -1)
	if len(shown) < 5 {
		t.Fatalf("only %d commands found in the README", len(shown))
	}
	for _, command := range shown {
		flags := help("help", command[1])
		for _, name := range regexp.MustCompile(`--[a-z-]+`).FindAllString(command[2], -1) {
			if !strings.Contains(flags, name) {
				t.Errorf("the README shows %s %s, which that command does not have", command[1], name)
			}
		}
	}
}

// A variable that the image sets would overrule the file that its user mounts.
func TestDockerfile_SetsNoVariable(t *testing.T) {
	content, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	if line := regexp.MustCompile(`(?m)^ENV .*`).Find(content); line != nil {
		t.Errorf("the image sets a variable: %s", line)
	}
}
