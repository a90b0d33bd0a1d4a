package secret

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"
)

func wideText(text string, little bool) string {
	var out strings.Builder
	for _, unit := range utf16.Encode([]rune(text)) {
		high, low := byte(unit>>8), byte(unit)
		if little {
			high, low = low, high
		}
		out.WriteByte(high)
		out.WriteByte(low)
	}
	return out.String()
}

// Editors, shells and Secrets write a key in many ways; each is read, or the error names what is wrong without quoting
// anything.
func TestLine(t *testing.T) {
	const key = "UAKabc"
	for name, c := range map[string]struct{ content, wrong string }{
		"plain":              {key, ""},
		"newline":            {key + "\n", ""},
		"newlines":           {key + "\n\n\r\n", ""},
		"Windows":            {"\xef\xbb\xbf" + key + "\r\n", ""},
		"blanks":             {"  " + key + "\t \n", ""},
		"invisible":          {key + "\u200b\u00a0\n", ""},
		"UTF-16":             {"\xff\xfe" + wideText(key+"\r\n", true), ""},
		"UTF-16 big-endian":  {"\xfe\xff" + wideText(key+"\r\n", false), ""},
		"UTF-16 and a half":  {"\xff\xfe" + wideText(key, true) + "\x0a", ""},
		"UTF-16 unmarked":    {wideText(key, true), "has NUL characters"},
		"NUL":                {key + "\x00", "has NUL characters"},
		"several lines":      {key + "\n# of the shop\n", "has several lines"},
		"old Mac lines":      {key + "\rmore", "has several lines"},
		"empty":              {"", "is empty"},
		"blank":              {" \r\n", "is empty"},
		"nothing but a mark": {"\xef\xbb\xbf\n", "is empty"},
		"large":              {strings.Repeat(key, MaxBytes), "has more than 65536 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key")
			if err := os.WriteFile(path, []byte(c.content), 0o400); err != nil {
				t.Fatal(err)
			}
			got, err := Line(path)
			switch {
			case c.wrong == "":
				if got != key || err != nil {
					t.Errorf("Line = %q, %v", got, err)
				}
			case err == nil || !strings.HasPrefix(err.Error(), path+" "+c.wrong) || strings.Contains(err.Error(), key):
				t.Errorf("Line = %q, %v; want the error %s", got, err, c.wrong)
			}
		})
	}
}

// A path is shown if it can be nothing else.
func TestShown(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.WriteFile("here", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, shown := range map[string]bool{
		filepath.Join(dir, "here"): true, filepath.Join(dir, "missing"): true,
		filepath.Join(dir, "no", "folder", "key"): true, "here": true, "./here": true,
		"../missing": true, "UAK0123456789abcdef": false, "missing": false, "aB3/x+9/==": false, "/aB3/x+9": false,
		"/aB3": false, "./UAK0123": false,
		"-----BEGIN PRIVATE KEY-----\nabc/def\n": false,
	} {
		if got := Shown(path); (got == path) != shown || !shown && strings.Contains(got, path) {
			t.Errorf("Shown(%q) = %q", path, got)
		}
		if _, err := Line(path); err != nil && !shown && strings.Contains(err.Error(), path) {
			t.Errorf("the error shows %q: %v", path, err)
		}
		if _, err := KeyPair(path, path); err != nil && !shown && strings.Contains(err.Error(), path) {
			t.Errorf("the error of a key pair shows %q: %v", path, err)
		}
	}
}
