package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the texts beside testdata/bad-*.yaml, and the table in README.md, anew")

// Each rule has a file that breaks it, and beside it the exact text that an operator reads.
func TestLoad_BadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad-*.yaml")
	if err != nil || len(files) < 30 {
		t.Fatalf("found %d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			c, err := Load(file, nil)
			var problems Problems
			if c != nil || !errors.As(err, &problems) {
				t.Fatalf("Load = %v, %v; want Problems alone", c, err)
			}
			got := err.Error() + "\n"
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%swant:\n%s", got, want)
			}
			if strings.Contains(got, "canary") {
				t.Errorf("a value is quoted:\n%s", got)
			}
		})
	}
}

// The parser's messages may quote the file, so only their fixed words are passed on.
func TestSyntaxProblem_QuotesNothing(t *testing.T) {
	for text, want := range map[string]string{
		"yaml: line 3: did not find expected key":                   "config.yaml:3: not valid YAML: did not find expected key",
		"yaml: line 12: found unexpected 'UAKcanary' in a tag":      "config.yaml:12: not valid YAML: the text is incomplete or mixes its parts",
		"yaml: unknown anchor 'UAKcanary' referenced":               "config.yaml: not valid YAML: anchors and aliases are not supported",
		"yaml: control characters are not allowed":                  "config.yaml: not valid YAML: control characters are not allowed",
		"yaml: invalid leading UTF-8 octet":                         "config.yaml: not valid YAML: the text is incomplete or mixes its parts",
		"yaml: line 2: mapping values are not allowed in this \x00": "config.yaml:2: not valid YAML: the text is incomplete or mixes its parts",
	} {
		l := newLoader()
		l.origin = Origin{Name: "config.yaml"}
		l.syntaxProblem(errors.New(text))
		if got := l.problems.Error(); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", text, got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"base_url", "api_key_file", "streams", "start"}
	for name, want := range map[string]string{
		"strat": "start", "stream": "streams", "baseurl": "base_url", "BASE_URL": "base_url", "x": "", "sweep": "", "": "",
	} {
		if got := Nearest(name, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", name, got, want)
		}
	}
	for _, test := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "", 3}, {"", "abc", 3}, {"abc", "acb", 1}, {"kitten", "sitting", 3}, {"number", "numbr", 1}} {
		if got := editDistance(test.a, test.b); got != test.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
	}
}
