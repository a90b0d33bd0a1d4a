package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"regexp"
	"strconv"
	"time"

	"github.com/twochat-connector/twochat-connector/sinks/secret"
)

const redacted = "[redacted]"

// userinfo is the part of a URL before the @.
var userinfo = regexp.MustCompile(`//[^/@\s]*@`)

// MarshalJSON is the configuration in force, with the keys in the order of the file. Numbers and the API key are
// redacted.
func (c Config) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	without := "accounts"
	if len(c.Accounts) > 0 {
		without = "twochat"
	}
	if err := printSection(&out, reflect.ValueOf(&c).Elem(), without); err != nil {
		return nil, fmt.Errorf("print configuration: %w", err)
	}
	return out.Bytes(), nil
}

// String is MarshalJSON, indented.
func (c Config) String() string {
	var out bytes.Buffer
	flat, err := c.MarshalJSON()
	if err == nil {
		err = json.Indent(&out, flat, "", "  ")
	}
	if err != nil {
		return err.Error()
	}
	return out.String()
}

// GoString hides from %#v what String hides.
func (c Config) GoString() string { return c.String() }

// LogValue hides from loggers what String hides.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// printSection prints all keys of a section except one.
func printSection(out *bytes.Buffer, section reflect.Value, without string) error {
	out.WriteByte('{')
	first := true
	for _, f := range fieldsOf(section.Type()) {
		value := section.FieldByIndex(f.index)
		if f.name == without || value.Kind() == reflect.Pointer && value.IsNil() {
			continue
		}
		if !first {
			out.WriteByte(',')
		}
		first = false
		out.WriteString(strconv.Quote(f.name) + ":")
		if namesFile(f.name) {
			value = reflect.ValueOf(shownFile(value))
		}
		if err := printValue(out, value); err != nil {
			return err
		}
	}
	out.WriteByte('}')
	return nil
}

// shownFile is the path of a key that names a file, in a form that is safe to print.
func shownFile(value reflect.Value) string {
	if path := filePath(value); path != "" {
		return secret.Shown(path)
	}
	return ""
}

func printValue(out *bytes.Buffer, value reflect.Value) error {
	t := value.Type()
	switch {
	case t.Kind() == reflect.Pointer:
		return printValue(out, value.Elem())
	case isSection(t):
		return printSection(out, value, "")
	case t.Kind() == reflect.Slice && !isText(t):
		out.WriteByte('[')
		for i := range value.Len() {
			if i > 0 {
				out.WriteByte(',')
			}
			if err := printValue(out, value.Index(i)); err != nil {
				return err
			}
		}
		out.WriteByte(']')
		return nil
	}
	printed, err := json.Marshal(plain(value))
	if err != nil {
		return err
	}
	out.Write(printed)
	return nil
}

// plain is a single value as the file has it.
func plain(value reflect.Value) any {
	if value.Type() == durationType {
		return FormatDuration(time.Duration(value.Int()))
	}
	if isText(value.Type()) {
		return fmt.Sprint(value.Interface())
	}
	if value.Kind() == reflect.String {
		return userinfo.ReplaceAllString(value.String(), "//"+redacted+"@")
	}
	return value.Interface()
}

// FormatDuration writes a duration as a person would: 1h, not 1h0m0s.
func FormatDuration(d time.Duration) string {
	text := d.String()
	for _, zero := range [...]string{"m0s", "h0m"} {
		if cut := len(text) - 2; cut > 0 && text[max(0, cut-1):] == zero {
			text = text[:cut]
		}
	}
	return text
}
