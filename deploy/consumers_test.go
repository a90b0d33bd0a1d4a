package deploy

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// snippet is a fenced block of a page, with the comment before it that names a file, if there is one.
var snippet = regexp.MustCompile("(?m)(?:^<!-- ([a-z0-9_/.-]+) -->\n\n)?^```([a-z]*)\n((?:.*\n)*?)```$")

// The blocks on the consumers' page are part of the files that .ci/run runs: a block is in the file that it names, and
// a command is in the header of a file.
func TestConsumers_Snippets(t *testing.T) {
	const folder = "consumers"
	var files strings.Builder
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(path, ".md") {
			return err
		}
		content, err := os.ReadFile(path)
		files.Write(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	blocks := 0
	for _, found := range snippet.FindAllStringSubmatch(read(t, filepath.Join(folder, "README.md")), -1) {
		file, language, text := found[1], found[2], found[3]
		blocks++
		switch {
		case language == "console":
			for line := range strings.Lines(text) {
				if command := strings.TrimPrefix(strings.TrimSpace(line), "$ "); !strings.Contains(files.String(), command+"\n") {
					t.Errorf("no file says how it is run with: %s", command)
				}
			}
		case file == "":
			t.Errorf("this block does not name its file:\n%s", text)
		case !strings.Contains(read(t, filepath.Join(folder, file)), text):
			t.Errorf("this block is not in %s:\n%s", file, text)
		}
	}
	if blocks < 12 {
		t.Errorf("only %d blocks found", blocks)
	}
}

// Each database on the page has its table, its load statements, and the tokens of chats. Parts of .ci/run test them.
func TestConsumers_Files(t *testing.T) {
	page := read(t, "consumers/README.md")
	for _, database := range []string{"duckdb", "clickhouse", "postgres", "bigquery"} {
		wanted := []string{"table", "load_row", "load_item", "chat_token"}
		if database == "bigquery" {
			wanted = []string{"table", "merge_row", "chat_token"}
		}
		for _, name := range wanted {
			if read(t, filepath.Join("consumers/sql", database, name+".sql")) == "" {
				t.Errorf("%s of %s is empty", name, database)
			}
		}
		if !strings.Contains(page, "(sql/"+database+")") {
			t.Errorf("the page does not lead to %s", database)
		}
	}
}
