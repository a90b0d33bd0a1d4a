package config

import (
	"regexp"
	"slices"
	"strings"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks"
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

// wordsOf are the words that the key of a path takes; nil if it takes others as well. Of a sink's keys the sink itself
// knows and validates them.
func wordsOf(path string) []string {
	if key, ok := strings.CutPrefix(path, "sink."); ok {
		return sinks.Words()[key]
	}
	return slices.Clone(words[commonKey(path)])
}

var index = regexp.MustCompile(`\[[0-9]+\]`)

// commonKey is the path of a key as it stands for every item of a list, and for every account.
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
