package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The token is in a file or in the environment, and no message quotes it.
func TestConfig_AdminToken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	const token = "canary-0123456789"
	for name, c := range map[string]struct{ content, wrong string }{
		"newline": {token + "\r\n", ""}, "mark": {"\xef\xbb\xbf" + token + "\n", ""},
		"word": {"Bearer " + token, "without a word such as Bearer"}, "short": {"canary-01234567", "fewer than 16"},
		"lines": {token + "\nshop", "several lines"}, "accent": {token + "é", "unprintable"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, variable := range []string{Variable("admin.token_file") + "=" + path, AdminTokenVariable + "=" + c.content} {
				got, err := Load("testdata/small.yaml", []string{variable})
				read := ""
				if err == nil {
					read, err = got.Admin.Token()
				}
				switch {
				case c.wrong == "" && (read != token || err != nil || !got.Admin.AsksForToken()):
					t.Errorf("the token is %q, %v", read, err)
				case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong) ||
					strings.Contains(err.Error(), "canary")):
					t.Errorf("the error is %v, want %s", err, c.wrong)
				}
			}
		})
	}
	c, err := Load("testdata/small.yaml", []string{AdminTokenVariable + "=" + token})
	if err != nil {
		t.Fatal(err)
	}
	shown := c.String() + c.GoString() + fmt.Sprintf("%v %+v %#v", c, c.Admin, &c.Admin)
	if strings.Contains(shown, token) {
		t.Errorf("the token is shown: %s", shown)
	}
}

// A finding tells who may read the admin server if it listens beyond this machine, and warns if a token is sent in
// clear.
func TestConfig_AdminFindings(t *testing.T) {
	token, tls := AdminTokenVariable+"=0123456789abcdef", []string{
		Variable("admin.tls.cert_file") + "=/c", Variable("admin.tls.key_file") + "=/k",
	}
	listen := Variable("admin.listen") + "="
	for name, test := range map[string]struct {
		env  []string
		want string
	}{
		"loopback":                      {nil, ""},
		"loopback by name, and a token": {[]string{listen + "localhost:8080", token}, ""},
		"everywhere":                    {[]string{listen + ":8080"}, "ok admin.listen"},
		"everywhere, with a token":      {[]string{listen + ":8080", token}, "warning admin.token_file"},
		"everywhere, token and TLS":     {append([]string{listen + ":8080", token}, tls...), ""},
	} {
		c, err := Load("testdata/small.yaml", test.env)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, f := range c.Admin.findings() {
			got += string(f.Level) + " " + f.Thing
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
