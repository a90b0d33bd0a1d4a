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

// reportFiles are the files of a report: as JSON, and as a web page. They are opened before any page of a list is paid
// for.
type reportFiles struct {
	path       string // without extension; "" for no report
	json, page *os.File
	written    bool
	digest     string // of the JSON file
}

func newReportFiles(path string) (*reportFiles, error) {
	if path == "" {
		return &reportFiles{}, nil
	}
	for _, ending := range []string{".json", ".html"} {
		path = strings.TrimSuffix(path, ending)
	}
	f := &reportFiles{path: path}
	for name, to := range map[string]**os.File{path + ".json": &f.json, path + ".html": &f.page} {
		file, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			f.close()
			return nil, cli.Hinted(fmt.Errorf("flag --report: %s exists already", name),
				"name another file: existing reports are not overwritten")
		}
		if err != nil {
			f.close()
			return nil, cli.Hinted(fmt.Errorf("flag --report: %w", err), "name a file in a folder that this user may write to")
		}
		*to = file
	}
	return f, nil
}

// close removes files that were not written.
func (f *reportFiles) close() {
	for _, file := range []*os.File{f.json, f.page} {
		if file == nil {
			continue
		}
		_ = file.Close() // what was written is synced
		if !f.written {
			_ = os.Remove(file.Name()) // it is empty, and ours
		}
	}
}

// write writes the report in both forms.
func (f *reportFiles) write(r *Report) error {
	if f.path == "" {
		return nil
	}
	var content bytes.Buffer
	if err := cli.PrintJSON(&content, r); err != nil {
		return err
	}
	sum := sha256.Sum256(content.Bytes())
	f.digest = hex.EncodeToString(sum[:])
	page, err := pageOf(r, filepath.Base(f.json.Name()), f.digest)
	if err != nil {
		return err
	}
	for file, bytes := range map[*os.File][]byte{f.json: content.Bytes(), f.page: page} {
		_, err := file.Write(bytes)
		if err = errors.Join(err, file.Sync()); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	f.written = true
	return nil
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
