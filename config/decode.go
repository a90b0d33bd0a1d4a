package config

import (
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// field is a known key of a section.
type field struct {
	name  string
	index []int
	tag   reflect.StructTag
}

// fieldsOf lists the keys of a section in the order of the struct; the keys of an inlined struct count as its own.
func fieldsOf(section reflect.Type) []field {
	var list []field
	for i := range section.NumField() {
		f := section.Field(i)
		name, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case !f.IsExported() || name == "-":
		case option == "inline":
			for _, inner := range fieldsOf(f.Type) {
				inner.index = append([]int{i}, inner.index...)
				list = append(list, inner)
			}
		case name != "":
			list = append(list, field{name, []int{i}, f.Tag})
		}
	}
	return list
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
	numberType   = reflect.TypeFor[Number]()
)

// isText reports whether a type reads itself from text.
func isText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(textType) }

// isSection reports whether a type has keys of its own.
func isSection(t reflect.Type) bool { return t.Kind() == reflect.Struct && !isText(t) }

// decode reads a node into target. defaults is the same place in the complete defaults; inside lists it is the zero
// Value.
func (l *loader) decode(n *yaml.Node, target, defaults reflect.Value, path string) {
	t := target.Type()
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		l.problemAt(n, path, "expected a plain value; anchors and aliases are not supported")
	case t.Kind() == reflect.Pointer:
		if target.IsNil() {
			target.Set(reflect.New(t.Elem()))
			if defaults.IsValid() && !defaults.IsNil() {
				target.Elem().Set(defaults.Elem())
			}
		}
		if defaults.IsValid() {
			defaults = defaults.Elem()
		}
		l.decode(n, target.Elem(), defaults, path)
	case isSection(t):
		l.decodeSection(n, target, defaults, path)
	case t.Kind() == reflect.Slice && !isText(t):
		l.decodeList(n, target, path)
	default:
		l.decodeScalar(n, target, path)
	}
}

func (l *loader) decodeSection(n *yaml.Node, target, defaults reflect.Value, path string) {
	if isNull(n) { // `stdout:` without a value means its defaults
		return
	}
	if n.Kind != yaml.MappingNode {
		l.problemAt(n, path, "expected keys with values, found "+found(n))
		return
	}
	fields := fieldsOf(target.Type())
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.Anchor != "" || key.ShortTag() == "!!merge" {
			l.problemAt(key, path, "expected the name of a key; anchors, aliases and merges are not supported")
			continue
		}
		keyPath := join(path, key.Value)
		f, known := find(fields, key.Value)
		if !known {
			l.problemAt(key, join(path, printable(key.Value)), unknownKey(key.Value, path, fields))
			l.broken[join(path, secretFile(key.Value))] = true
			continue
		}
		if line, twice := first[f.name]; twice {
			l.problemAt(key, keyPath, fmt.Sprintf("the key is given twice, first on line %d", line))
			continue
		}
		first[f.name] = key.Line
		l.origins[keyPath] = l.originOf(key)
		inner := reflect.Value{}
		if defaults.IsValid() {
			inner = defaults.FieldByIndex(f.index)
		}
		l.decode(value, target.FieldByIndex(f.index), inner, keyPath)
	}
}

func (l *loader) decodeList(n *yaml.Node, target reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode {
		l.problemAt(n, path, "expected a list, found "+found(n))
		return
	}
	list := reflect.MakeSlice(target.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		itemPath := fmt.Sprintf("%s[%d]", path, i)
		l.origins[itemPath] = l.originOf(item)
		l.decode(item, list.Index(i), reflect.Value{}, itemPath)
	}
	target.Set(list)
}

func (l *loader) decodeScalar(n *yaml.Node, target reflect.Value, path string) {
	t := target.Type()
	expected := expectedOf(t)
	if n.Kind != yaml.ScalarNode || isNull(n) {
		l.problemAt(n, path, fmt.Sprintf("expected %s, found %s", expected, found(n)))
		return
	}
	ok := false
	switch tag := n.ShortTag(); {
	case octal.MatchString(n.Value) && tag == "!!int" && !isText(t) && t.Kind() != reflect.String:
		// YAML reads it as octal, which is hardly what was meant.
		l.problemAt(n, path, fmt.Sprintf("expected %s without a leading zero", expected))
		return
	case isText(t):
		// A phone number without quotes is an integer to YAML; its text is still the number.
		if ok = tag == "!!str" || tag == "!!timestamp" || t == numberType && tag == "!!int"; ok {
			value := reflect.New(t)
			if err := value.Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.Value)); err != nil {
				// Only this package's own types are known not to quote the text in their errors.
				if t.PkgPath() == numberType.PkgPath() {
					expected = err.Error()
				}
				l.problemAt(n, path, "expected "+expected)
				return
			}
			target.Set(value.Elem())
		}
	case t == durationType:
		d, err := time.ParseDuration(n.Value)
		if ok = err == nil && d >= 0 && (tag == "!!str" || n.Value == "0"); ok {
			target.SetInt(int64(d))
		}
	case t.Kind() == reflect.String:
		if ok = tag == "!!str"; ok {
			target.SetString(n.Value)
		}
	case t.Kind() == reflect.Bool:
		var value bool
		if ok = tag == "!!bool" && n.Decode(&value) == nil; ok {
			target.SetBool(value)
		}
	case target.CanInt():
		var value int64
		if ok = tag == "!!int" && n.Decode(&value) == nil && value >= 0 && !target.OverflowInt(value); ok {
			target.SetInt(value)
		}
	case target.CanUint():
		var value uint64
		if ok = tag == "!!int" && n.Decode(&value) == nil && !target.OverflowUint(value); ok {
			target.SetUint(value)
		}
	}
	if !ok {
		text := fmt.Sprintf("expected %s, found %s", expected, found(n))
		if t.Kind() == reflect.String && n.ShortTag() == "!!int" && wordsOf(path) == nil {
			text += "; write it in quotes"
		}
		l.problemAt(n, path, text)
	}
}

var octal = regexp.MustCompile(`^-?0[0-9_]+$`)

// expectedOf describes the values that a key of this type takes.
func expectedOf(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[Start]():
		return errStart.Error()
	case t == reflect.TypeFor[FileSecret]():
		return "the path of a file"
	case t == durationType:
		return "a duration such as 10s or 1h30m"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Slice:
		return "a list"
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		return "a whole number from 0"
	case t.Kind() == reflect.String:
		return "text"
	}
	return "a different value"
}

// found names the kind of a node. It never quotes it.
func found(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys with values"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!bool":
		return "true or false"
	case "!!int":
		if strings.HasPrefix(n.Value, "-") {
			return "a number below 0"
		}
		return "a whole number"
	case "!!float":
		return "a number"
	case "!!timestamp":
		return "a time"
	case "!!str":
		return "other text"
	}
	return "a value with a custom tag"
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func find(fields []field, name string) (field, bool) {
	for _, f := range fields {
		if f.name == name {
			return f, true
		}
	}
	return field{}, false
}

// Keys have no digits. A word with digits, or a long one, may be a number or a secret in the wrong place.
var plainKey = regexp.MustCompile(`^[A-Za-z_-]{1,40}$`)

func printable(name string) string {
	if plainKey.MatchString(name) {
		return name
	}
	return "(unprintable key)"
}

// accountItem is the path of an account.
var accountItem = regexp.MustCompile(`^accounts\[[0-9]+\]$`)

// secretFile is the name of the file key for the name of a secret.
func secretFile(name string) string { return strings.ToLower(name) + "_file" }

func unknownKey(name, path string, fields []field) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	file := secretFile(name)
	if _, ok := find(fields, file); ok {
		text := "a secret does not belong into the configuration; put it into a file and name that in " + join(path, file)
		switch path {
		case "twochat":
			text += ", or set the environment variable " + APIKeyVariable
		case "admin":
			text += ", or set the environment variable " + AdminTokenVariable
		}
		if accountItem.MatchString(path) {
			text += ", or set the environment variable " + APIKeyVariable + "_ with the account's name in capitals"
		}
		return text
	}
	if near := Nearest(name, names); near != "" {
		return "unknown key; the nearest known key is " + join(path, near)
	}
	return "unknown key; the known keys here are " + strings.Join(names, ", ")
}
