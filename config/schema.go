package config

import (
	"maps"
	"reflect"

	"github.com/twochat-connector/twochat-connector/sinks"
)

// These are forms of texts, for the schema. It does not cover rules between keys, which `check --offline` checks.
const (
	durationForm = `^\+?(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$|^0$`
	startForm    = `^(now|beginning|[0-9.hmsuµn]+|[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt].+)$`
)

// Schema is the JSON Schema (2020-12) of the configuration file, made from the structs that Load fills. Editors
// complete keys with it, and find a wrong key before a start.
func Schema() map[string]any {
	complete := Default()
	complete.Sink = sinks.Defaults()
	schema := sectionSchema(reflect.ValueOf(&complete).Elem(), "")
	maps.Copy(schema, map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "urn:twochat-connector:schema:config:v1",
		"title": "Configuration of twochat-connector",
	})
	return schema
}

// sectionSchema is the schema of a section: its keys and no others. A section without required keys may be empty.
func sectionSchema(section reflect.Value, path string) map[string]any {
	properties := map[string]any{}
	for _, f := range fieldsOf(section.Type()) {
		properties[f.name] = keySchema(section.FieldByIndex(f.index), f, join(path, f.name))
	}
	schema := map[string]any{"type": []string{"object", "null"}, "additionalProperties": false, "properties": properties}
	if path == "sink" {
		schema["maxProperties"] = 1
	}
	return schema
}

func keySchema(value reflect.Value, f field, path string) map[string]any {
	if value.Kind() == reflect.Pointer {
		value = value.Elem()
	}
	t := value.Type()
	if isSection(t) {
		return sectionSchema(value, path)
	}
	schema := typeSchema(t, path)
	if doc := f.tag.Get("doc"); doc != "" {
		schema["description"] = doc
	} else if doc := sinkDoc(path); doc != "" {
		schema["description"] = doc
	}
	if t.Kind() != reflect.Slice && !value.IsZero() {
		schema["default"] = plain(value)
	}
	return schema
}

// typeSchema is the schema of what the decoder accepts for a key, and for an item of a list.
func typeSchema(t reflect.Type, path string) map[string]any {
	words := wordsOf(path)
	switch {
	case t.Kind() == reflect.Slice && !isText(t):
		item := typeSchema
		if isSection(t.Elem()) {
			item = func(t reflect.Type, path string) map[string]any {
				return sectionSchema(reflect.New(t).Elem(), path)
			}
		}
		return map[string]any{"type": "array", "items": item(t.Elem(), path+"[]")}
	case words != nil:
		return map[string]any{"type": "string", "enum": words}
	case t == numberType:
		return map[string]any{"anyOf": []any{
			map[string]any{"type": "string", "pattern": numberForm.String() + "|^$"}, map[string]any{"type": "integer"},
		}}
	case t == durationType:
		return map[string]any{"anyOf": []any{
			map[string]any{"type": "string", "pattern": durationForm}, map[string]any{"const": 0},
		}}
	case t == reflect.TypeFor[Start]():
		return map[string]any{"type": "string", "pattern": startForm}
	case t.Kind() == reflect.Bool && !isText(t):
		return map[string]any{"type": "boolean"}
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64 && !isText(t):
		return map[string]any{"type": "integer", "minimum": 0}
	}
	return map[string]any{"type": "string"}
}
