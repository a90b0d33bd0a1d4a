package cli

import (
	"regexp"
	"slices"
	"strings"

	"github.com/twochat-connector/twochat-connector/config"
)

// InForce is the configuration with which the program was started, as its flags name it.
type InForce struct {
	File    string   `json:"file,omitempty"`
	Numbers []string `json:"numbers,omitempty"`
	Sink    string   `json:"sink,omitempty"`
}

// inForceOf is the configuration that these flags name.
func inForceOf(flags *config.Flags) *InForce {
	return &InForce{File: flags.Config, Numbers: slices.Clone(flags.Numbers), Sink: flags.Sink}
}

// flags name the configuration to another command. A file that is found without the flag is not named, and not every
// command can be given numbers and a sink.
func (f InForce) flags(fileAlone bool) []string {
	var words []string
	if f.File != "" && !config.FoundByDefault(f.File) {
		words = append(words, "--config", quoted(f.File))
	}
	if fileAlone {
		return words
	}
	for _, number := range f.Numbers {
		words = append(words, "--number", quoted(number))
	}
	if f.Sink != "" {
		words = append(words, "--sink", quoted(f.Sink))
	}
	return words
}

// plainWord is a word that a shell takes as it is.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:@%+=,-]+$`)

// quoted is a word as a shell takes it.
func quoted(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// Command is one of the program's commands in backticks, for this configuration, to be copied from a text.
func (f InForce) Command(words ...string) string {
	for i := range words {
		words[i] = quoted(words[i])
	}
	return f.Commands("`twochat-connector " + strings.Join(words, " ") + "`")
}

// Commands makes the program's commands in a text, which stand in backticks, about this configuration, so that they work
// as printed. A command that names a configuration itself stays as it is.
func (f InForce) Commands(text string) string {
	parts := strings.Split(text, "`")
	for i := 1; i < len(parts); i += 2 { // those between two backticks
		words := strings.Split(parts[i], " ")
		if len(words) > 1 && takesConfiguration(words[0]) && strings.HasPrefix(words[1], "--") {
			words = slices.Insert(words, 0, programName)
		}
		at := slices.Index(words, programName) + 1
		if at > 0 && at < len(words) && takesConfiguration(words[at]) && !namesConfiguration(words[at:]) {
			command := words[at]
			if at++; slices.Contains(verbed, command) && at < len(words) && !strings.HasPrefix(words[at], "-") {
				at++
			}
			words = slices.Insert(words, at, f.flags(command == "status")...)
		}
		parts[i] = strings.Join(words, " ")
	}
	return strings.Join(parts, "`")
}

const programName = "twochat-connector"

// configured are the commands that read a configuration, and verbed those of them that a verb follows.
var (
	configured = []string{
		"audit", "backfill", "check", "checkpoint", "erase", "explain", "preview", "quarantine", "run", "status", "tail",
	}
	verbed = []string{"checkpoint", "quarantine"}
)

func takesConfiguration(command string) bool { return slices.Contains(configured, command) }

// namesConfiguration reports whether the words of a command name a configuration, or what goes without.
func namesConfiguration(words []string) bool {
	return slices.ContainsFunc(words, func(word string) bool {
		return slices.Contains([]string{"--config", "--number", "--sink", "--admin", "--help"}, word)
	})
}

// InForce is the configuration with which the command was started; none before one is loaded.
func (p *Program) InForce() InForce {
	if p.inForce == nil {
		return InForce{}
	}
	return *p.inForce
}

// begun records the configuration in force, unless that is known.
func (p *Program) begun(flags *config.Flags) {
	if p.inForce == nil {
		p.inForce = inForceOf(flags)
	}
}

// Hint is a hint whose commands are about the configuration in force.
func (p *Program) Hint(hint string) string { return p.InForce().Commands(hint) }
