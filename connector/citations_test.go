package connector

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestCitations checks that what comments cite is in this repository, and that each rule of reading is cited where it
// is kept.
func TestCitations(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(readme)
	var (
		assume    = regexp.MustCompile(`\bassumptions? (A\d)`)
		rule      = regexp.MustCompile(`\brules? (\d+)`)
		section   = regexp.MustCompile(`connector/README\.md, "?([A-Z][A-Za-z ]+[a-z])`)
		document  = regexp.MustCompile(`\.?[A-Za-z/]+\.md\b`)
		design    = regexp.MustCompile(`DESIGN|of the design|guarantees §|section \d+ of the`)
		lineBreak = regexp.MustCompile(`\n\s*//\s*`)
	)
	cited, kept := 0, map[string]bool{}
	err = filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !(strings.HasSuffix(path, ".go") || strings.HasSuffix(path, ".py")) ||
			strings.HasSuffix(path, "citations_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text := lineBreak.ReplaceAllString(string(source), " ")
		text = strings.ReplaceAll(text, "https://github.com/twochat-connector/twochat-connector/blob/main/", "")
		for _, m := range rule.FindAllStringSubmatch(text, -1) {
			cited++
			kept[m[1]] = kept[m[1]] || !strings.HasSuffix(path, "_test.go")
			if !strings.Contains(page, "\n"+m[1]+". ") {
				t.Errorf("%s cites rule %s, which is not there", path, m[1])
			}
		}
		for _, m := range assume.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(page, "**"+m[1]+"** ") {
				t.Errorf("%s cites assumption %s, which is not there", path, m[1])
			}
		}
		for _, m := range section.FindAllStringSubmatch(text, -1) {
			cited++
			if !strings.Contains(page, "# "+m[1]+"\n") {
				t.Errorf("%s cites %q, which is no section", path, m[1])
			}
		}
		for _, name := range document.FindAllString(text, -1) {
			_, beside := os.Stat(filepath.Join(filepath.Dir(path), name))
			_, top := os.Stat(filepath.Join("..", name))
			if beside != nil && top != nil {
				t.Errorf("%s cites %s, which is not there", path, name)
			}
		}
		if found := design.FindString(text); found != "" {
			t.Errorf("%s cites a document that is not here: %q", path, found)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if cited < 15 {
		t.Errorf("only %d citations were found", cited)
	}
	_, rules, _ := strings.Cut(page, "\n## Rules\n")
	rules, _, _ = strings.Cut(rules, "\n## ")
	for _, m := range regexp.MustCompile(`(?m)^(\d+)\. `).FindAllStringSubmatch(rules, -1) {
		if !kept[m[1]] {
			t.Errorf("no code cites rule %s where it is kept", m[1])
		}
	}
	for _, m := range regexp.MustCompile("`([a-z_./]+\\.go)`").FindAllStringSubmatch(page, -1) {
		if _, err := os.Stat(m[1]); err != nil {
			t.Errorf("the page names %s, which is not there", m[1])
		}
	}
}
