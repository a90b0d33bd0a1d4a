package config

import (
	"regexp"
	"slices"
	"strings"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// words are the keys that accept only a few words, with those words. Validation and the schema use them.
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

// wordsOf are the words that a key accepts; nil if it accepts other values too. The keys of a sink are validated by the
// sink itself.
func wordsOf(path string) []string {
	if key, ok := strings.CutPrefix(path, "sink."); ok {
		return sinks.Words()[key]
	}
	return slices.Clone(words[commonKey(path)])
}

var index = regexp.MustCompile(`\[[0-9]+\]`)

// commonKey is the path of a key in a form that is the same for every item of a list and for every account.
func commonKey(path string) string {
	return strings.TrimPrefix(index.ReplaceAllString(path, "[]"), "accounts[].")
}

// oneOf checks the value at a path against the words of its key.
func oneOf[T ~string](value T, path string, wrong func(path, text string)) {
	allowed := words[commonKey(path)]
	if slices.Contains(allowed, string(value)) {
		return
	}
	last := len(allowed) - 1
	wrong(path, "expected "+strings.Join(allowed[:last], ", ")+" or "+allowed[last])
}
