package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/admin"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/connector/poller"
	"github.com/twochat-connector/twochat-connector/connector/quota"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// root is the folder of the module.
const root = "../.."

// pagePaths are the pages for people, from the root.
var pagePaths = []string{
	"README.md", "config/README.md", "sinks/README.md", "deploy/README.md", "deploy/consumers/README.md",
	"cmd/twochat-connector/README.md", "connector/README.md",
	".github/CONTRIBUTING.md", ".github/SECURITY.md", ".github/CHANGELOG.md",
}

// page reads a page or another file by its path from the root.
func page(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// The first page fits on two screens, and links to all others.
func TestREADME_First(t *testing.T) {
	text := page(t, "README.md")
	if lines := strings.Count(text, "\n"); lines > 120 {
		t.Errorf("the first page has %d lines, and may have 120", lines)
	}
	for _, path := range pagePaths[1:] {
		if !strings.Contains(text, "]("+path+")") {
			t.Errorf("the first page does not link to %s", path)
		}
	}
	for _, name := range sinks.Names() {
		if !strings.Contains(text, "\n| `"+name+"` | ") {
			t.Errorf("the first page does not say what %s promises", name)
		}
	}
}

// Lines fit a screen of 120 columns. Table rows and URLs cannot be broken.
func TestREADME_Width(t *testing.T) {
	// Lines of these pages are longer, because they were written before there was a limit.
	wide := []string{"connector/README.md", "deploy/README.md"}
	for _, path := range pagePaths {
		for n, line := range strings.Split(page(t, path), "\n") {
			if !slices.Contains(wide, path) && !strings.HasPrefix(line, "|") && utf8.RuneCountInString(line) > 120 {
				t.Errorf("%s:%d has %d columns", path, n+1, utf8.RuneCountInString(line))
			}
		}
	}
}

// metricNames lists the connector's metrics as registered.
func metricNames(t *testing.T) []string {
	t.Helper()
	registry := admin.NewRegistry()
	poller.NewMetrics(registry)
	registry.MustRegister(quota.NewBudget(quota.BudgetConfig{
		Streams: 1, Interval: time.Minute,
		Logger: slog.New(slog.DiscardHandler),
	}))
	registry.MustRegister(pipeline.ConfigurationMetrics(new(pipeline.ConfigurationRecord).Current)...)
	registry.MustRegister(pipeline.ReplicaMetrics(func() pipeline.ReplicaCounts { return pipeline.ReplicaCounts{} })...)
	registry.MustRegister(pipeline.UnknownMembers(func() uint64 { return 0 }))
	registry.MustRegister(pipeline.ShapeMetrics(func() []twochat.ShapeChange { return nil })...)
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

// The page of operation names each metric, and no other.
func TestREADME_Metrics(t *testing.T) {
	registered := metricNames(t)
	named := regexp.MustCompile(`twochat_connector_[a-z_]+`).FindAllString(page(t, "deploy/README.md"), -1)
	slices.Sort(named)
	named = slices.Compact(named)
	for _, name := range registered {
		if !slices.Contains(named, name) {
			t.Errorf("deploy/README.md does not name %s", name)
		}
	}
	for _, name := range named {
		if !slices.Contains(registered, name) {
			t.Errorf("deploy/README.md names %s, which is no metric", name)
		}
	}
}

// Every file and section that a page links to exists.
func TestREADME_Links(t *testing.T) {
	heading := regexp.MustCompile(`(?m)^#+ (.*)$`)
	checked := 0
	for _, path := range pagePaths {
		for _, link := range regexp.MustCompile(`\]\(([^)#]*)(?:#([^)]+))?\)`).FindAllStringSubmatch(page(t, path), -1) {
			if strings.HasPrefix(link[1], "https://") {
				continue
			}
			checked++
			target := path
			if link[1] != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(path), link[1]))
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s links to %s: %v", path, link[1], err)
				continue
			}
			if link[2] == "" {
				continue
			}
			var sections []string
			for _, h := range heading.FindAllStringSubmatch(page(t, target), -1) {
				sections = append(sections, strings.ReplaceAll(strings.ToLower(h[1]), " ", "-"))
			}
			if !slices.Contains(sections, link[2]) {
				t.Errorf("%s links to the section %s of %s, which it does not have", path, link[2], target)
			}
		}
	}
	if checked < 40 {
		t.Errorf("only %d links found", checked)
	}
}

// Every command that a page shows exists, with its flags, and the program's own page has all commands.
func TestREADME_Commands(t *testing.T) {
	flags := map[string][]string{}
	var names []string
	for _, c := range commands() {
		flags[c.name], names = flagsOf(t, c.name), append(names, c.name)
		if !strings.Contains(page(t, "cmd/twochat-connector/README.md"), "\n| `"+c.name+"` | ") {
			t.Errorf("the program's page has no row for %s", c.name)
		}
	}
	command := regexp.MustCompile("(?:twochat-connector |`)(" + strings.Join(names, "|") + ")((?: [^`\n]*)?)[`\n]")
	shown := 0
	for _, path := range pagePaths {
		for _, found := range command.FindAllStringSubmatch(page(t, path), -1) {
			shown++
			for _, flag := range flagSaid.FindAllStringSubmatch(found[2], -1) {
				if !slices.Contains(flags[found[1]], flag[2]) {
					t.Errorf("%s shows %s --%s, which that command does not have", path, found[1], flag[2])
				}
			}
		}
	}
	if shown < 50 {
		t.Errorf("only %d commands found on the pages", shown)
	}
}

// Every key on a page exists.
func TestREADME_Keys(t *testing.T) {
	known := keyPaths()
	for _, path := range pagePaths {
		for _, code := range regexp.MustCompile("`[^`\n]+`").FindAllString(page(t, path), -1) {
			if strings.Contains(code, ".jsonl") {
				continue // a file
			}
			for _, key := range keySaid.FindAllString(code, -1) {
				if !slices.Contains(known, key) && !slices.Contains(notKeys, key) && !strings.HasSuffix(key, ".go") {
					t.Errorf("%s names the key %s, which is not there", path, key)
				}
			}
		}
	}
}

// The contributors' page names each part of .ci/run.
func TestContributing_Parts(t *testing.T) {
	script, text := page(t, ".ci/run"), page(t, ".github/CONTRIBUTING.md")
	list := regexp.MustCompile(`(?m)^(?:parts|fast)=\((.*)\)$`).FindAllStringSubmatch(script, -1)
	if len(list) != 2 {
		t.Fatalf("found %d lists of parts in .ci/run, want 2", len(list))
	}
	for _, part := range append(strings.Fields(list[0][1]), strings.Fields(list[1][1])...) {
		if !strings.Contains(text, "`"+part+"`") {
			t.Errorf("the page does not name the part %s", part)
		}
		if !strings.Contains(script, "\n"+part+"() {") {
			t.Errorf(".ci/run has no part %s", part)
		}
	}
}

// A variable set by the image would override the file that its user mounts.
func TestDockerfile_SetsNoVariable(t *testing.T) {
	if line := regexp.MustCompile(`(?m)^ENV .*`).FindString(page(t, "Dockerfile")); line != "" {
		t.Errorf("the image sets a variable: %s", line)
	}
}
