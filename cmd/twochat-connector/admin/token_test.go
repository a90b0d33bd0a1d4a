package admin

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestTokenGuard(t *testing.T) {
	const token = "0123456789abcdef"
	var unread error
	var logged bytes.Buffer
	guard := &tokenGuard{
		next: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			status := http.StatusOK
			if r.URL.Path == "/readyz" {
				status = http.StatusServiceUnavailable
			}
			answer(w, status, plainText, []byte("stream secret-shop\n"))
		}),
		token: func() (string, error) { return token, unread }, logger: slog.New(slog.NewTextHandler(&logged, nil)),
	}
	ask := func(path, authorization string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		recorder := httptest.NewRecorder()
		guard.ServeHTTP(recorder, r)
		return recorder
	}
	basic := func(user, password string) string {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.SetBasicAuth(user, password)
		return r.Header.Get("Authorization")
	}
	for name, test := range map[string]struct {
		authorization string
		right         bool
	}{
		"none":                         {"", false},
		"bearer":                       {"Bearer " + token, true},
		"bearer, in small letters":     {"bearer " + token, true},
		"the password of any user":     {basic("night-shift", token), true},
		"the password of nobody":       {basic("", token), true},
		"the user":                     {basic(token, ""), false},
		"another":                      {"Bearer 0123456789abcdeg", false},
		"the beginning of it":          {"Bearer 0123456789abcde", false},
		"more than it":                 {"Bearer " + token + "f", false},
		"an empty one":                 {"Bearer ", false},
		"an empty password":            {basic("admin", ""), false},
		"the token without its scheme": {token, false},
		"another scheme":               {"Digest " + token, false},
	} {
		for _, path := range []string{"/metrics", "/status", "/", "/healthz/", "/nothing"} {
			got := ask(path, test.authorization)
			switch {
			case test.right && (got.Code != http.StatusOK || !strings.Contains(got.Body.String(), "secret-shop")):
				t.Errorf("%s: %s answers %d %s", name, path, got.Code, got.Body)
			case !test.right && (got.Code != http.StatusUnauthorized || strings.Contains(got.Body.String(), "secret-shop") ||
				len(got.Header().Values("WWW-Authenticate")) != 2):
				t.Errorf("%s: %s answers %d %v %s", name, path, got.Code, got.Header(), got.Body)
			}
		}
		for path, status := range map[string]int{"/healthz": http.StatusOK, "/readyz": http.StatusServiceUnavailable} {
			got := ask(path, test.authorization)
			if got.Code != status || strings.Contains(got.Body.String(), "secret-shop") != test.right {
				t.Errorf("%s: the probe %s answers %d %s", name, path, got.Code, got.Body)
			}
		}
	}

	unread = errors.New("read secret: /token: no such file")
	for range 2 {
		if got := ask("/metrics", "Bearer "+token); got.Code != http.StatusServiceUnavailable {
			t.Errorf("without a token that can be read /metrics answers %d", got.Code)
		}
		if got := ask("/healthz", ""); got.Code != http.StatusOK {
			t.Errorf("without a token that can be read the probe answers %d", got.Code)
		}
	}
	unread = nil
	if got := ask("/metrics", "Bearer "+token); got.Code != http.StatusOK {
		t.Errorf("once the token can be read again, /metrics answers %d", got.Code)
	}
	if lines := strings.Count(logged.String(), "\n"); lines != 2 || strings.Contains(logged.String(), token) {
		t.Errorf("logged %d lines: %s", lines, logged.String())
	}
}
