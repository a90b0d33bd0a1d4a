package config

import (
	"fmt"
	"reflect"

	"github.com/twochat-connector/twochat-connector/sinks"
)

// Key is the description of one key of the configuration.
type Key struct {
	// Path is dotted; an item of a list is written [].
	Path string `json:"path"`
	// Variable is the environment variable; empty for keys inside lists, which are given as a whole.
	Variable string `json:"variable,omitempty"`
	Type     string `json:"type"`
	// Default is the default in the form of the file; empty if there is none.
	Default string `json:"default"`
	Doc     string `json:"doc"`
}

// Reference lists every key in the file's order. It is made from the structs that Load fills.
func Reference() []Key {
	complete := Default()
	complete.Sink = sinks.Defaults()
	return reference(reflect.ValueOf(&complete).Elem(), "")
}

func reference(section reflect.Value, path string) []Key {
	var list []Key
	walk(section, path, func(keyPath string, value reflect.Value, f field) {
		t := value.Type()
		key := Key{Path: keyPath, Variable: Variable(keyPath), Type: typeName(t), Doc: f.tag.Get("doc")}
		if key.Doc == "" {
			key.Doc = sinkDoc(keyPath)
		}
		if t.Kind() != reflect.Slice {
			key.Default = fmt.Sprint(plain(value))
		} else if value.Len() > 0 {
			key.Default = fmt.Sprint(value.Interface())
		}
		list = append(list, key)
		if t.Kind() == reflect.Slice && isSection(t.Elem()) {
			items := reference(reflect.New(t.Elem()).Elem(), keyPath+"[]")
			for i := range items {
				items[i].Variable = ""
				items[i].Default = "" // an item's missing keys have no defaults of their own
			}
			list = append(list, items...)
		}
	})
	return list
}

// typeName is empty for a type that the decoder does not know.
func typeName(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[Start]():
		return "start"
	case t == reflect.TypeFor[FileSecret]():
		return "file"
	case t == numberType:
		return "number"
	case t == durationType:
		return "duration"
	case isText(t) || t.Kind() == reflect.String:
		return "text"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		return "whole number"
	case t.Kind() == reflect.Slice && isSection(t.Elem()):
		return "list of sections"
	case t.Kind() == reflect.Slice && typeName(t.Elem()) != "":
		return "list of " + typeName(t.Elem())
	}
	return ""
}
