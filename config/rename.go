package config

import (
	"errors"
	"strings"
)

// CheckRename returns why a stream of the configuration, or its history, cannot have another name: what would be wrong
// with a configuration that has it. It is nil if no stream has the former name.
func CheckRename(c *Config, from, to string) error {
	live, ofHistory := strings.CutSuffix(from, historySuffix)
	var stream *StreamConfig
	var others []string
	for _, one := range c.ByAccount() {
		for _, s := range one.TwoChat.Streams {
			switch name := s.name(); {
			case name == from:
				stream, ofHistory = &s, false
			case name == live && stream == nil:
				stream = &s
			default:
				others = append(others, name)
			}
		}
	}
	if stream == nil {
		return nil
	}
	name := to
	if ofHistory {
		var ok bool
		if name, ok = strings.CutSuffix(to, historySuffix); !ok {
			return errors.New("expected a name that ends in " + historySuffix + ", as it is the history of a stream")
		}
	}
	var problem error
	renamed := *stream
	if renamed.Name = name; name == "" {
		return errors.New("expected 1 to 64 letters, digits, dots, underscores or hyphens")
	}
	validateName(renamed, c.Privacy.Identifiers == Pseudonymous, "", func(_, text string) { problem = errors.New(text) })
	for _, other := range others {
		switch {
		case problem != nil:
		case other == name:
			problem = errors.New("expected a unique name; another stream of the configuration has it")
		case other+historySuffix == name, name+historySuffix == other:
			problem = errors.New("expected another name; backfill writes the history of a stream under it")
		}
	}
	return problem
}
