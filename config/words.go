package config

import (
	"regexp"
	"slices"
	"strings"

	"github.com/twochat-connector/twochat-connector/connector"
)

// words are the keys that take one of a few words, and which. Validation and the schema read them here.
var words = map[string][]string{
	"poll.when_spent":     {string(SpentSlow), string(SpentStop)},
	"events.mode":         {string(connector.ModeStructured), string(connector.ModeBinary)},
	"events.data":         {string(DataItem), string(DataRow)},
	"events.text":         {string(TextRepaired), string(TextExact)},
	"privacy.identifiers": {string(Hashed), string(Clear), string(Pseudonymous)},
	"privacy.drop[]":      {"text", "media", "quoted", "names"},
	"log.level":           {"debug", "info", "warn", "error"},
	"log.format":          {"auto", "text", "json"},
}

var index = regexp.MustCompile(`\[[0-9]+\]`)

// oneOf checks the value at a path against the words of its key.
func oneOf[T ~string](value T, path string, wrong func(path, text string)) {
	allowed := words[index.ReplaceAllString(path, "[]")]
	if slices.Contains(allowed, string(value)) {
		return
	}
	last := len(allowed) - 1
	wrong(path, "expected "+strings.Join(allowed[:last], ", ")+" or "+allowed[last])
}
