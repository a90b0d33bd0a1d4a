package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

// compiledSchema is the schema as a third-party library reads it.
func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := json.Marshal(Schema())
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("config.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("config.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// document reads YAML as an editor would.
func document(t *testing.T, text string) any {
	t.Helper()
	var read any
	if err := yaml.Unmarshal([]byte(text), &read); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	again, err := json.Marshal(read)
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(again)))
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// Every configuration that is shown anywhere is valid by the schema.
func TestSchema_Examples(t *testing.T) {
	schema := compiledSchema(t)
	shown := map[string]string{}
	for _, path := range []string{"../README.md", "README.md", "../sinks/README.md"} {
		for _, e := range regexp.MustCompile("(?s)```yaml\n(.*?)```\n").FindAllStringSubmatch(page(t, path), -1) {
			shown[path+": "+e[1]] = e[1]
		}
	}
	for _, pattern := range []string{
		"../deploy/compose/*.yaml", "../deploy/kubernetes/base/config.yaml", "../deploy/kubernetes/*/*/config.yaml",
		"testdata/full.yaml", "testdata/small.yaml",
	} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, path := range files {
			shown[path] = page(t, path)
		}
	}
	if len(shown) < 9 {
		t.Errorf("%d examples", len(shown))
	}
	for name, text := range shown {
		if err := schema.Validate(document(t, text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An unknown key is refused everywhere, and so is a value of the wrong kind for each key.
func TestSchema_WrongKeys(t *testing.T) {
	schema := compiledSchema(t)
	at := func(path, value string) any {
		text := value
		parts := strings.Split(path, ".")
		for i := len(parts) - 1; i >= 0; i-- {
			name, listed := strings.CutSuffix(parts[i], "[]")
			if listed {
				text = "[" + text + "]"
			}
			text = `{"` + name + `":` + text + `}`
		}
		return document(t, text)
	}
	looked := 0
	for _, key := range Reference() {
		looked++
		if err := schema.Validate(at(key.Path+"x", `"x"`)); err == nil {
			t.Errorf("the schema takes %sx", key.Path)
		}
		if err := schema.Validate(at(key.Path, `{"x":[true]}`)); err == nil {
			t.Errorf("the schema takes a section for %s", key.Path)
		}
		value := map[string]string{
			"number": `"+595981048477"`, "duration": `"10s"`, "true or false": "true", "whole number": "7", "start": `"24h"`,
		}[key.Type]
		switch list := wordsOf(key.Path); {
		case list != nil:
			value = `"` + list[len(list)-1] + `"`
			if schema.Validate(at(key.Path, `"none of them"`)) == nil {
				t.Errorf("the schema takes any word for %s", key.Path)
			}
		case strings.HasPrefix(key.Type, "list"):
			value = "[]"
		case value == "":
			value = `"text"`
		}
		if err := schema.Validate(at(key.Path, value)); err != nil {
			t.Errorf("the schema does not take %s for %s: %v", value, key.Path, err)
		}
	}
	for _, path := range []string{"sink.kafka.compression", "sink.kafka.sasl.mechanism", "events.mode"} {
		if schema.Validate(at(path, `"none of them"`)) == nil {
			t.Errorf("the schema takes any word for %s", path)
		}
	}
	if looked < 80 {
		t.Errorf("looked at %d keys only", looked)
	}
}

// The schema refuses nothing that Load accepts: no form of a value, and no empty section.
func TestSchema_TakesWhatLoadTakes(t *testing.T) {
	schema := compiledSchema(t)
	const rest = "twochat: { api_key_file: /k, streams: [{ number: +595981048477 }] }\nsink: { file: }\n"
	for _, text := range []string{
		"start: 1h30m", "start: 2026-01-31T00:00:00Z", "start: 2026-01-31T00:00:00.5+01:00", "start: beginning", "start: now",
		"poll: { sweep: { every: 0 } }", `poll: { sweep: { every: "0" } }`,
		"poll: { min_interval: 1.5s, max_interval: 1m30s }", "poll:", "privacy: { drop: [text, names] }",
		"log: { level: debug }\nevents: { data: row, mode: binary }",
		"sink: { kafka: { brokers: [k:9092], compression: '', sasl: { mechanism: '' } } }",
		"sink: { kafka: { brokers: [k:9092], compression: none, partitions: 12 } }",
	} {
		rest := rest
		if strings.HasPrefix(text, "sink:") {
			rest, _, _ = strings.Cut(rest, "sink:")
		}
		if _, err := Load(write(t, rest+text), nil); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if err := schema.Validate(document(t, rest+text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	refused := 0
	files, err := filepath.Glob("testdata/bad-*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		content, err := os.ReadFile(path)
		var read any
		if err != nil || yaml.Unmarshal(content, &read) != nil {
			continue
		}
		if text, err := json.Marshal(read); err == nil && schema.Validate(document(t, string(text))) != nil {
			refused++
		}
	}
	if refused < 10 {
		t.Errorf("the schema refuses %d of %d wrong configurations only", refused, len(files))
	}
}
