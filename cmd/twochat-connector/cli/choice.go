package cli

import (
	"errors"
	"flag"
	"slices"
	"strings"
)

// Choice adds a flag that takes one of some words, the first of them where it is left out.
func Choice(flags *flag.FlagSet, name, usage string, words ...string) *string {
	c := &choice{words: words, chosen: words[0]}
	flags.Var(c, name, usage)
	return &c.chosen
}

// Choices lists the words that a flag takes; none where it takes others too.
func Choices(f *flag.Flag) []string {
	if c, ok := f.Value.(*choice); ok {
		return c.words
	}
	return nil
}

// choice is the value of a flag that takes one of some words.
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
