package config

import (
	"fmt"
	"regexp"
	"strings"
)

// maxStreams catches mistakes that would use up an account; one process is made for a thousand streams.
const maxStreams = 10000

var nameForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// validateStreams checks the streams of all accounts together, as a sink identifies a stream only by its name.
func (c *Config) validateStreams(wrong func(path, text string)) {
	all := 0
	for _, one := range c.ByAccount() {
		if len(one.TwoChat.Streams) == 0 {
			wrong(one.AccountKey("streams"), "expected at least one stream, such as - number: \"+595981048477\"")
		}
		if all += len(one.TwoChat.Streams); all > maxStreams {
			wrong(one.AccountKey("streams"), fmt.Sprintf("expected at most %d streams", maxStreams))
			return
		}
	}
	known := knownStreams{names: map[string]string{}, lists: map[listKey]string{}, numbers: map[listKey][2]string{}}
	for _, one := range c.ByAccount() {
		for i, s := range one.TwoChat.Streams {
			path := fmt.Sprintf("%s[%d]", one.AccountKey("streams"), i)
			if !s.Number.valid() {
				wrong(path+".number", `expected a number such as "+595981048477": a plus sign and 6 to 15 digits`)
				continue
			}
			if s.Remote != "" && !s.Remote.valid() {
				wrong(path+".remote", `expected a number such as "+595981111111": a plus sign and 6 to 15 digits`)
			}
			validateName(s, c.Privacy.Identifiers == Pseudonymous, path+".name", wrong)
			known.add(s, one.TwoChat.BaseURL, path, wrong)
		}
	}
	for name, path := range known.names {
		if live, ok := strings.CutSuffix(name, historySuffix); ok {
			if _, taken := known.names[live]; taken {
				wrong(path+".name", "expected another name; backfill writes the history of another stream under this name")
			}
		}
	}
}

// historySuffix ends the name of a stream's backfill.
const historySuffix = "-history"

// knownStreams holds the paths of the streams so far.
type knownStreams struct {
	names map[string]string
	lists map[listKey]string
	// numbers holds, for each number, its whole list and its first list with a remote.
	numbers map[listKey][2]string
}

// listKey identifies a message list: the same number at another base URL is a different list.
type listKey struct {
	baseURL        string
	number, remote Number
}

// add compares a stream with the previous ones.
func (k *knownStreams) add(s StreamConfig, baseURL, path string, wrong func(path, text string)) {
	if first, taken := k.names[s.name()]; taken {
		wrong(path+".name", "expected a unique name; "+first+" has the same")
	} else {
		k.names[s.name()] = path
	}
	baseURL = strings.TrimRight(baseURL, "/")
	list, number := listKey{baseURL, s.Number, s.Remote}, listKey{baseURL, s.Number, ""}
	first, twice := k.lists[list]
	known := k.numbers[number]
	switch {
	case twice:
		wrong(path, "expected another list; "+first+" reads the same list")
	case s.Remote != "" && known[0] != "":
		wrong(path, overlap(known[0]))
	case s.Remote == "" && known[1] != "":
		wrong(path, overlap(known[1]))
	}
	if !twice {
		k.lists[list] = path
	}
	kind := 0
	if s.Remote != "" {
		kind = 1
	}
	if known[kind] == "" {
		known[kind] = path
		k.numbers[number] = known
	}
}

func overlap(other string) string {
	return "the stream overlaps " + other + ": a number, and the same number with a remote, list the same messages"
}

func validateName(s StreamConfig, pseudonymous bool, path string, wrong func(path, text string)) {
	switch {
	case s.Name == "" && s.Remote != "":
		wrong(path, "expected a name, as the stream has a remote")
	case s.Name == "" && pseudonymous:
		wrong(path, "expected a name, as privacy.identifiers is pseudonymous")
	case s.Name == "":
	case !nameForm.MatchString(s.Name) || strings.Trim(s.Name, ".") == "":
		wrong(path, "expected 1 to 64 letters, digits, dots, underscores or hyphens")
	case s.Remote.valid() && strings.Contains(s.Name, s.Remote.digits()):
		wrong(path, "expected a name without the remote number, as it appears in logs and metrics")
	case pseudonymous && strings.Contains(s.Name, s.Number.digits()):
		wrong(path, "expected a name without the number, as privacy.identifiers is pseudonymous")
	}
}
