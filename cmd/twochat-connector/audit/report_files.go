package audit

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
)

//go:embed page.html
var pageText string

// reportFiles are the files of a report: as JSON, and as a web page. Nothing lies at their names before they are whole,
// so an audit that is killed leaves nothing there that keeps the next one off, and two audits never share a file.
type reportFiles struct {
	path   string                      // without extension; "" for no report
	link   func(from, to string) error // fails with fs.ErrExist if the target exists
	digest string                      // of the JSON file, when both files are there
}

// newReportFiles checks, before any page of a list is paid for, that the report can be written.
func newReportFiles(path string) (*reportFiles, error) {
	f := &reportFiles{path: path, link: os.Link}
	if path == "" {
		return f, nil
	}
	for _, ending := range []string{".json", ".html"} {
		f.path = strings.TrimSuffix(f.path, ending)
	}
	var there, free []string
	for _, name := range []string{f.json(), f.page()} {
		switch _, err := os.Lstat(name); {
		case err == nil:
			there = append(there, name)
		case errors.Is(err, fs.ErrNotExist):
			free = append(free, name)
		default:
			return nil, notWritable(err)
		}
	}
	if len(there) > 0 {
		hint := "name another file: existing reports are not overwritten"
		if len(free) > 0 {
			hint += "; " + filepath.Base(free[0]) + " is not there, as after an audit that was killed just before its end"
		}
		return nil, cli.Hinted(fmt.Errorf("flag --report: %s exists already", strings.Join(there, ", and ")), hint)
	}
	tried, err := f.beside(f.json(), nil)
	if err != nil {
		return nil, notWritable(err)
	}
	_ = os.Remove(tried) // at the worst an empty file stays, which nobody looks for
	return f, nil
}

func notWritable(err error) error {
	return cli.Hinted(fmt.Errorf("flag --report: %w", err), "name a file in a folder that this user may write to")
}

func (f *reportFiles) json() string { return f.path + ".json" }

func (f *reportFiles) page() string { return f.path + ".html" }

// beside writes a file of a name of its own in the folder of a target, which only this user may read. The error names
// the file if it could not be written whole; then it is gone.
func (f *reportFiles) beside(target string, content []byte) (name string, err error) {
	file, err := os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+".*")
	if err != nil {
		return "", err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		_ = os.Remove(file.Name())
		return "", err
	}
	return file.Name(), nil
}

// write writes the report in both forms. Both are whole before the first is put in place. What cannot be put in place
// stays beside it, and the error names it, as it was paid for.
func (f *reportFiles) write(r *Report) error {
	if f.path == "" {
		return nil
	}
	var content bytes.Buffer
	if err := cli.PrintJSON(&content, r); err != nil {
		return err
	}
	sum := sha256.Sum256(content.Bytes())
	digest := hex.EncodeToString(sum[:])
	page, err := pageOf(r, filepath.Base(f.json()), digest)
	if err != nil {
		return err
	}
	targets := []string{f.json(), f.page()}
	var written []string
	for i, content := range [][]byte{content.Bytes(), page} {
		name, err := f.beside(targets[i], content)
		if err != nil {
			for _, name := range written {
				_ = os.Remove(name)
			}
			return fmt.Errorf("write the report: %w", err)
		}
		written = append(written, name)
	}
	var failed error
	for i, name := range written {
		switch err := f.place(name, targets[i]); {
		case err != nil && failed != nil:
			failed = fmt.Errorf("%w; %w", failed, err)
		case err != nil:
			failed = err
		}
	}
	if failed != nil {
		return cli.Hinted(fmt.Errorf("write the report: %w", failed),
			"move what was written to another name; it is whole, and the audit need not be repeated")
	}
	f.digest = digest
	return nil
}

// place gives a file that is whole its name, unless something has that name meanwhile.
func (f *reportFiles) place(written, target string) error {
	err := f.link(written, target)
	if err != nil && !errors.Is(err, fs.ErrExist) { // as on file systems without hard links
		err = copyNew(written, target)
	}
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists meanwhile, so it was written to %s", target, written)
	}
	if err != nil {
		return fmt.Errorf("it was written to %s: %w", written, err)
	}
	_ = os.Remove(written) // a second name of the same file, or a copy, does no harm
	return nil
}

// copyNew copies a file to a name that nothing has yet.
func copyNew(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return cli.WriteNew(to, content)
}

// pageOf is the report as a web page.
func pageOf(r *Report, name, digest string) ([]byte, error) {
	page, err := template.New("page").Funcs(template.FuncMap{
		"thousands": text.Thousands, "summary": func(s StreamReport) []string { return s.summary() },
		"noted": func(s StreamReport) []string { return s.noted() },
		"lines": func(s StreamReport) []detail { return s.details() },
	}).Parse(pageText)
	if err != nil {
		return nil, fmt.Errorf("make the report's page: %w", err)
	}
	var out bytes.Buffer
	if err := page.Execute(&out, map[string]any{"Report": r, "File": name, "Digest": digest}); err != nil {
		return nil, fmt.Errorf("make the report's page: %w", err)
	}
	return out.Bytes(), nil
}
