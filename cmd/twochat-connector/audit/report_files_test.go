package audit

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Nothing lies at the names of a report before it is whole: an audit that is killed leaves nothing that keeps the next
// one off, nor does what one leaves beside them.
func TestReportKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report")
	if _, err := newReportFiles(path); err != nil { // and is killed
		t.Fatal(err)
	}
	if left := names(t, path); len(left) != 0 {
		t.Errorf("an audit that only began leaves %q", left)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), ".report.json.123"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := newReportFiles(path + ".html")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.write(&Report{}); err != nil {
		t.Fatal(err)
	}
	if got := names(t, path); len(got) != 3 || f.digest == "" {
		t.Errorf("%q are there, digest %q", got, f.digest)
	}
	_, err = newReportFiles(path)
	if err == nil || !strings.Contains(err.Error(), "report.json, and ") {
		t.Errorf("both exist: %v", err)
	}
	if err := os.Remove(path + ".html"); err != nil { // as after a kill between the two
		t.Fatal(err)
	}
	_, err = newReportFiles(path)
	if err == nil || !strings.Contains(err.Error(), "report.json exists already") {
		t.Errorf("one exists: %v", err)
	}
}

// Of two audits that write to the same names, one has them; the other keeps its own report, and says where.
func TestReportsMeet(t *testing.T) {
	noLinks := func(string, string) error { return errors.ErrUnsupported }
	for name, link := range map[string]func(string, string) error{"links": os.Link, "no links": noLinks} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "report")
			var both [2]*reportFiles
			for i := range both {
				var err error
				if both[i], err = newReportFiles(path); err != nil {
					t.Fatal(err)
				}
				both[i].link = link
			}
			if err := both[0].write(&Report{Calls: 1}); err != nil {
				t.Fatal(err)
			}
			before, err := os.ReadFile(path + ".json")
			if err != nil || len(before) == 0 {
				t.Fatalf("%q, %v", before, err)
			}
			err = both[1].write(&Report{Calls: 2})
			if err == nil || both[1].digest != "" {
				t.Fatalf("got %v, digest %q", err, both[1].digest)
			}
			if after, err := os.ReadFile(path + ".json"); err != nil || string(after) != string(before) {
				t.Errorf("the first report is %q now, %v", after, err)
			}
			kept := 0
			for _, name := range names(t, path) {
				info, statErr := os.Stat(name)
				if statErr != nil || info.Mode().Perm() != 0o600 || info.Size() == 0 {
					t.Errorf("%s: %v, %v", name, info, statErr)
				}
				if strings.Contains(err.Error(), name) && strings.HasPrefix(filepath.Base(name), ".") {
					kept++
				}
			}
			if kept != 2 || len(names(t, path)) != 4 {
				t.Errorf("%d files of the second are named by %v, of %q", kept, err, names(t, path))
			}
		})
	}
}

// names are those of all files in a path's folder.
func names(t *testing.T, path string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, filepath.Join(filepath.Dir(path), e.Name()))
	}
	return list
}
