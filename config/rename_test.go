package config

import (
	"strings"
	"testing"
)

// A name that a configuration could not have is refused before a sink has it.
func TestCheckRename(t *testing.T) {
	c := &Config{}
	c.TwoChat.Streams = []StreamConfig{
		{Number: "+595981048477", Name: "support"}, {Number: "+595981048478", Remote: "+595981111111", Name: "sales"},
	}
	for names, want := range map[[2]string]string{
		{"support", "office"}:                   "",
		{"support", "bad name"}:                 "1 to 64 letters",
		{"support", ""}:                         "1 to 64 letters",
		{"support", ".."}:                       "1 to 64 letters",
		{"support", strings.Repeat("x", 65)}:    "1 to 64 letters",
		{"support", "sales"}:                    "a unique name",
		{"support", "sales-history"}:            "the history of a stream",
		{"sales", "of-595981111111"}:            "without the remote number",
		{"support-history", "office"}:           "ends in -history",
		{"support-history", "office-history"}:   "",
		{"support-history", "bad name-history"}: "1 to 64 letters",
		{"nobody", "bad name"}:                  "", // the configuration has the new name, and was checked
	} {
		err := CheckRename(c, names[0], names[1])
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", names, err, want)
		}
	}
	c.Privacy.Identifiers = Pseudonymous
	if err := CheckRename(c, "support", "of-595981048477"); err == nil {
		t.Error("with pseudonyms a name may hold the number")
	}
}
