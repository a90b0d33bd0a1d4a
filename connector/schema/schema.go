package schema

import (
	"encoding/json"
	"maps"
	"reflect"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
)

// The ids of the schemas, with their versions.
const (
	EventID = "urn:twochat-connector:schema:event:v1"
	RowID   = "urn:twochat-connector:schema:row:v1"

	dialect = "https://json-schema.org/draft/2020-12/schema"
)

// object is a part of a schema.
type object = map[string]any

// Event is the schema of a CloudEvent of the connector's in the JSON format: a message's, a checkpoint, a reject or an
// erasure.
// What is stored in binary mode is one as well, once it is decoded.
func Event() map[string]any {
	return object{
		"$schema": dialect, "$id": EventID, "title": "An event of twochat-connector",
		"oneOf": []any{
			object{"$ref": "#/$defs/message"},
			object{"$ref": "#/$defs/checkpoint"},
			object{"$ref": "#/$defs/reject"},
			object{"$ref": "#/$defs/erasure"},
		},
		"$defs": Parts("#/$defs/"),
	}
}

// Row is the schema of data if events.data is row.
func Row() map[string]any {
	schema := row()
	maps.Copy(schema, object{"$schema": dialect, "$id": RowID})
	return schema
}

// Parts are the schemas of which that of an event is made, by their names. They refer to each other below the place.
func Parts(place string) map[string]any {
	return object{
		"message": message(place), "item": item(), "row": row(), "checkpoint": checkpoint(), "reject": reject(),
		"erasure": erasure(),
	}
}

// message is the schema of a message's event.
func message(place string) object {
	properties, always := object{}, []string{}
	for _, form := range connector.AttributeForms() {
		property := object{"type": "string", "minLength": 1, "description": form.Doc}
		if form.Boolean {
			property = object{"type": "boolean", "description": form.Doc}
		}
		if form.Format != "" {
			property["format"] = form.Format
		}
		if form.Pattern != "" {
			property["pattern"] = form.Pattern
		}
		if form.Always {
			always = append(always, form.Name)
		}
		properties[form.Name] = property
	}
	properties["data"] = object{
		"description": "the message: 2Chat's item, or a row, as events.data says",
		"anyOf":       []any{object{"$ref": place + "row"}, object{"$ref": place + "item"}},
	}
	return object{"title": "A message", "type": "object", "properties": properties, "required": append(always, "data")}
}

// item is the schema of 2Chat's item. It comes as it is: 2Chat promises neither members nor their types.
func item() object {
	return object{"title": "2Chat's item, as it comes", "type": "object", "minProperties": 1}
}

// row is the schema of a row: exactly its columns.
func row() object {
	properties, names := object{}, []string{}
	for _, column := range twochat.Columns() {
		property := object{"type": []string{"string", "null"}, "description": column.Doc}
		if column.Always {
			property["type"] = "string"
		}
		if strings.HasSuffix(column.Name, "_at") {
			property["format"] = "date-time"
		}
		switch column.Name {
		case "direction":
			property["enum"] = []string{connector.DirectionReceived, connector.DirectionSent, connector.DirectionNew}
		case "kind":
			property["examples"] = twochat.Kinds()
		case "item":
			property["contentMediaType"] = "application/json"
		}
		properties[column.Name] = property
		names = append(names, column.Name)
	}
	return object{
		"title": "A row", "type": "object", "properties": properties, "required": names, "additionalProperties": false,
	}
}

// envelope is the schema of an event of ours that is no message's.
func envelope(title, kind string, data object) object {
	text := object{"type": "string", "minLength": 1}
	return object{
		"title": title, "type": "object",
		"required": []string{"specversion", "id", "source", "type", "time", "datacontenttype", "data"},
		"properties": object{
			"specversion": object{"const": "1.0"}, "id": text, "source": object{"type": "string", "format": "uri-reference"},
			"type": object{"type": "string", "pattern": `^[a-z0-9.-]+` + strings.ReplaceAll(kind, ".", `\.`) + "$"},
			"time": object{"type": "string", "format": "date-time"}, "datacontenttype": object{"const": "application/json"},
			"data": data,
		},
	}
}

// checkpoint is the schema of a checkpoint: for who has to tell one from an event, and looks how far a stream has
// come.
func checkpoint() object {
	return envelope("A checkpoint", connector.CheckpointType, structSchema(reflect.TypeFor[connector.Checkpoint]()))
}

// reject is the schema of what is in the quarantine.
func reject() object {
	return envelope("A reject", connector.RejectType, object{
		"type": "object", "required": []string{"reason", "length", "sha256", "cut", "raw"},
		"properties": object{
			"reason": object{"type": "string", "description": "why it cannot become an event"},
			"length": object{"type": "integer", "minimum": 0, "description": "of the whole item, in bytes"},
			"sha256": object{"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "of the whole item"},
			"cut":    object{"type": "boolean", "description": "raw is not the whole item"},
			"raw": object{
				"type": []string{"string", "null"}, "contentEncoding": "base64",
				"description": "the item's first bytes; none where the privacy settings let none be kept",
			},
		},
	})
}

// erasure is the schema of what was erased on request: its ids and sequences.
func erasure() object {
	numbers := func(meaning string) object {
		return object{"type": "array", "items": object{"type": "integer", "minimum": 0}, "description": meaning}
	}
	return envelope("An erasure", connector.ErasureType, object{
		"type": "object", "required": []string{"keys", "sequences"},
		"properties": object{
			"keys":      typeSchema(reflect.TypeFor[connector.Keys]()),
			"sequences": numbers("of each key's event; 0 for an item of the quarantine"),
			"late":      numbers("indexes of the events that were late"),
		},
	})
}

// structSchema is the schema of what encoding/json makes of a struct.
func structSchema(t reflect.Type) object {
	properties, always := object{}, []string{}
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "" || name == "-" {
			continue
		}
		properties[name] = typeSchema(f.Type)
		if !strings.Contains(options, "omit") {
			always = append(always, name)
		}
	}
	return object{"type": "object", "properties": properties, "required": always}
}

func typeSchema(t reflect.Type) object {
	switch {
	case t.Kind() == reflect.Pointer:
		return typeSchema(t.Elem())
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[connector.Keys]():
		return object{"type": "string", "contentEncoding": "base64", "description": "keys of messages, of 16 bytes each"}
	case t == reflect.TypeFor[json.RawMessage]():
		return object{"description": "the sink's own"}
	case t.Kind() == reflect.Struct:
		return structSchema(t)
	case t.Kind() == reflect.Slice:
		return object{"type": "array", "items": typeSchema(t.Elem())}
	case t.Kind() == reflect.Bool:
		return object{"type": "boolean"}
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Int64:
		return object{"type": "integer"}
	case t.Kind() >= reflect.Uint && t.Kind() <= reflect.Uint64:
		return object{"type": "integer", "minimum": 0}
	}
	return object{"type": "string"}
}
