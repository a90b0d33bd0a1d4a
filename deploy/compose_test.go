package deploy

import (
	"path/filepath"
	"slices"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/twochat-connector/twochat-connector/config"
)

// Each connector of the compose file has a configuration that the program accepts, mounted as a file where the program
// looks for one. Nothing can be written into a container with a read-only root.
func TestCompose(t *testing.T) {
	var compose struct {
		Services map[string]struct {
			Environment map[string]string
			ReadOnly    bool     `yaml:"read_only"`
			CapDrop     []string `yaml:"cap_drop"`
			Configs     []struct{ Source, Target string }
		}
		Configs map[string]struct{ File string }
	}
	if err := yaml.Unmarshal([]byte(read(t, "compose.yaml")), &compose); err != nil {
		t.Fatal(err)
	}
	found := 0
	for name, service := range compose.Services {
		for _, mounted := range service.Configs {
			file := compose.Configs[mounted.Source].File
			content := read(t, file)
			if mounted.Target != "/etc/twochat-connector/config.yaml" {
				continue
			}
			found++
			for variable := range service.Environment {
				if variable != config.APIKeyVariable && variable != config.Variable("twochat.streams") {
					t.Errorf("%s: %s goes before the mounted file", name, variable)
				}
			}
			c, err := config.Load(write(t, filepath.Base(file), content), []string{
				config.APIKeyVariable + "=UAKcanary", config.Variable("twochat.streams") + "=+595981048477",
			})
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else if len(c.Streams()) != 1 {
				t.Errorf("%s: %v", name, c)
			}
			if !service.ReadOnly || !slices.Equal(service.CapDrop, []string{"ALL"}) {
				t.Errorf("%s runs with more rights than it needs", name)
			}
		}
	}
	if found != 2 {
		t.Errorf("found %d configurations of the connector, want 2", found)
	}
}
