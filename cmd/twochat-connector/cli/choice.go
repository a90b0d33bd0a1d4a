package cli

import (
	"errors"
	"flag"
	"slices"
	"strings"

	"github.com/twochat-connector/twochat-connector/config"
)

// Choice adds a flag that takes one of the given words. The first of them is the default.
func Choice(flags *flag.FlagSet, name, usage string, words ...string) *string {
	c := &choice{words: words, chosen: words[0]}
	flags.Var(c, name, usage)
	return &c.chosen
}

// Choices lists the words that a flag takes. It returns nothing if the flag takes other values too.
func Choices(f *flag.Flag) []string {
	if c, ok := f.Value.(*choice); ok {
		return c.words
	}
	return nil
}

// choice is the value of a flag that takes one of a few words.
type choice struct {
	words  []string
	chosen string
}

func (c *choice) String() string { return c.chosen }

func (c *choice) Set(text string) error {
	if !slices.Contains(c.words, text) {
		return errors.New("expected " + strings.Join(c.words, " or "))
	}
	c.chosen = text
	return nil
}

// WrongWord is the error of a command that is not followed by one of its words. The hint says where they are explained.
// The input may be anything and is not quoted.
func (p *Program) WrongWord(written string, words []string, hint string) error {
	text := "expected one of " + strings.Join(words, ", ") + " after " + p.Name
	if near := config.Nearest(written, words); near != "" {
		text += "; the nearest is " + near
	}
	return UsageOf(Hinted(errors.New(text), hint))
}
