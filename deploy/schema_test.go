package deploy

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/twochat-connector/twochat-connector/config"
)

// schema holds the checked parts of a JSON schema.
type schema struct {
	Ref                  string             `json:"$ref"`
	Properties           map[string]*schema `json:"properties"`
	AdditionalProperties any                `json:"additionalProperties"`
	Items                *schema            `json:"items"`
	Required             []string           `json:"required"`
	Definitions          map[string]*schema `json:"definitions"`
}

func schemaOfValues(t *testing.T) *schema {
	t.Helper()
	var s schema
	if err := json.Unmarshal([]byte(read(t, chart+"/values.schema.json")), &s); err != nil {
		t.Fatal(err)
	}
	return &s
}

// Where the schema names keys, it refuses all others, except in free-form objects.
func TestSchema_Strict(t *testing.T) {
	s := schemaOfValues(t)
	looked := 0
	var strict func(path string, s *schema)
	strict = func(path string, s *schema) {
		if s == nil {
			return
		}
		if looked++; len(s.Properties) > 0 && s.AdditionalProperties != false && path != "values.extraObjects[]" {
			t.Errorf("%s takes keys that it does not name", path)
		}
		for name, property := range s.Properties {
			strict(path+"."+name, property)
		}
		strict(path+"[]", s.Items)
		for name, definition := range s.Definitions {
			strict(name, definition)
		}
	}
	strict("values", s)
	if looked < 300 {
		t.Errorf("looked at %d places only", looked)
	}
}

// Below config the schema names exactly the keys of the program.
func TestSchema_Config(t *testing.T) {
	named := map[string]bool{}
	var list func(path string, s *schema)
	list = func(path string, s *schema) {
		for name, property := range s.Properties {
			at := name
			if path != "" {
				at = path + "." + name
			}
			if len(property.Properties) == 0 {
				named[at] = true
			}
			list(at, property)
			if property.Items != nil && len(property.Items.Properties) > 0 {
				named[at] = true
				list(at+"[]", property.Items)
			}
		}
	}
	list("", schemaOfValues(t).Properties["config"])
	for _, key := range config.Reference() {
		if !named[key.Path] {
			t.Errorf("the schema lacks %s", key.Path)
		}
		delete(named, key.Path)
	}
	for _, path := range slices.Sorted(maps.Keys(named)) {
		t.Errorf("the schema has %s, which is no key of the program", path)
	}
}
