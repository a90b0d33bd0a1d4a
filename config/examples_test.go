package config

import (
	"os"
	"testing"

	"gopkg.in/yaml.v3"
)

// Every configuration that is shipped is one that Load takes.
func TestLoad_ComposeExamples(t *testing.T) {
	content, err := os.ReadFile("../deploy/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var compose struct {
		Services map[string]struct {
			Environment map[string]string
			Configs     []struct{ Source, Target string }
		}
		Configs map[string]struct{ Content string }
	}
	if err := yaml.Unmarshal(content, &compose); err != nil {
		t.Fatal(err)
	}
	found := 0
	for name, service := range compose.Services {
		for _, mounted := range service.Configs {
			if mounted.Target != defaultPaths[1] {
				continue
			}
			found++
			var env []string
			for variable := range service.Environment {
				value := map[string]string{APIKeyVariable: "UAKcanary", Variable("twochat.streams"): "+595981048477"}[variable]
				if value == "" {
					t.Errorf("%s: %s is unexpected: give it a value here", name, variable)
				}
				env = append(env, variable+"="+value)
			}
			c, err := Load(write(t, compose.Configs[mounted.Source].Content), env)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else if len(c.Streams()) != 1 {
				t.Errorf("%s: %v", name, c)
			}
		}
	}
	if found != 2 {
		t.Errorf("found %d configurations of the connector, want 2", found)
	}
}
