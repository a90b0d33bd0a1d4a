// Package deploy tests that the files for clusters fit the program.
package deploy

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/twochat-connector/twochat-connector/config"
)

// loads fails the test if the program would refuse a configuration. It does not check where secrets are mounted.
func loads(t *testing.T, content string) {
	t.Helper()
	c, err := config.Load(write(t, "config.yaml", content), nil)
	if err != nil {
		t.Errorf("the program refuses it: %v", err)
	} else if len(c.Streams()) == 0 {
		t.Error("it names no stream")
	}
}

func write(t *testing.T, name, content string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestKustomize_Configurations(t *testing.T) {
	found := 0
	err := filepath.WalkDir("kubernetes", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && filepath.Base(path) == "config.yaml" {
			found++
			t.Run(path, func(t *testing.T) { loads(t, read(t, path)) })
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if found != 3 {
		t.Errorf("found %d configurations, want 3", found)
	}
}

// Every alert has a runbook, and every runbook an alert.
func TestAlerts_Runbook(t *testing.T) {
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert       string
				Labels      map[string]string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, "monitoring/alerts.yaml")), &rules); err != nil {
		t.Fatal(err)
	}
	headings := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^### (TwochatConnector\w+)$`).FindAllStringSubmatch(
		read(t, "README.md"), -1) {
		headings[heading[1]] = true
	}
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			if !headings[rule.Alert] {
				t.Errorf("%s has no runbook in deploy/README.md", rule.Alert)
			}
			delete(headings, rule.Alert)
			if want := "deploy/README.md#" + strings.ToLower(rule.Alert); rule.Annotations["runbook"] != want {
				t.Errorf("%s: its runbook is %q, want %q", rule.Alert, rule.Annotations["runbook"], want)
			}
			if severity := rule.Labels["severity"]; severity != "page" && severity != "ticket" {
				t.Errorf("%s: severity %q", rule.Alert, severity)
			}
		}
	}
	for heading := range headings {
		t.Errorf("the runbook names %s, which is no alert", heading)
	}
}

// The links of the page lead to existing places.
func TestREADME_Links(t *testing.T) {
	for _, link := range regexp.MustCompile(`\]\(([^)#]+)\)`).FindAllStringSubmatch(read(t, "README.md"), -1) {
		if strings.Contains(link[1], "://") {
			continue
		}
		if _, err := os.Stat(link[1]); err != nil {
			t.Errorf("the page links to %s, which is not there", link[1])
		}
	}
}

// The image overrides no mounted file, and nothing in it needs a shell.
func TestDockerfile(t *testing.T) {
	image := read(t, "../Dockerfile")
	_, final, ok := strings.Cut(image, "\nFROM gcr.io/")
	if !ok {
		t.Fatal("the final stage is not found")
	}
	for _, instruction := range []string{"ENV ", "HEALTHCHECK", "RUN ", "VOLUME"} {
		if strings.Contains(final, "\n"+instruction) {
			t.Errorf("the final stage has %s", instruction)
		}
	}
	for _, wanted := range []string{
		"USER 65532:65532", "STOPSIGNAL SIGTERM", "image.title=", "image.source=",
		"image.version=", "image.licenses=\"Apache-2.0\"",
	} {
		if !strings.Contains(final, wanted) {
			t.Errorf("the final stage lacks %s", wanted)
		}
	}
	if strings.Contains(image, "# syntax") {
		t.Error("building it would fetch a syntax image")
	}
}
