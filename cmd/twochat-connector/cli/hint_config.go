package cli

import (
	"regexp"
	"slices"
	"strings"

	"github.com/twochat-connector/twochat-connector/config"
)

// plainPath is a path that a shell takes as it is.
var plainPath = regexp.MustCompile(`^[A-Za-z0-9_./:@%+=,-]+$`)

// WithConfig adds --config with a file to the commands that a hint names, so that they are about the same configuration. A
// file that is found without the flag is not added.
func WithConfig(hint, file string) string {
	if file == "" || config.FoundByDefault(file) {
		return hint
	}
	if !plainPath.MatchString(file) {
		file = "'" + strings.ReplaceAll(file, "'", `'\''`) + "'"
	}
	parts := strings.Split(hint, "`")
	for i := 1; i < len(parts); i += 2 { // those between two backticks
		words := strings.Split(parts[i], " ")
		if at := configPlace(words); at > 0 {
			parts[i] = strings.Join(slices.Insert(words, at, "--config", file), " ")
		}
	}
	return strings.Join(parts, "`")
}

// configPlace is where --config belongs among the words of a command, or 0 if it does not.
func configPlace(words []string) int {
	if len(words) < 2 || words[0] != "twochat-connector" || slices.Contains(words, "--config") {
		return 0
	}
	switch words[1] {
	case "audit", "backfill", "check", "erase", "explain", "run", "tail":
		return 2
	case "checkpoint", "quarantine":
		return min(3, len(words))
	}
	return 0
}
