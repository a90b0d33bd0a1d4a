package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/config"
)

// tokenGuard requires the token of the admin server. Probes need none, as a kubelet cannot send a secret; without it they
// answer with their status only.
type tokenGuard struct {
	next   http.Handler
	token  func() (string, error)
	logger *slog.Logger
	broken atomic.Bool // the token could not be read last
}

func (g *tokenGuard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	probe := r.URL.Path == "/healthz" || r.URL.Path == "/readyz"
	token, err := g.token()
	if broken := err != nil; g.broken.Swap(broken) != broken {
		if broken {
			g.logger.Error("the token of the admin server cannot be read: it shows nothing but the probes", "cause", err)
		} else {
			g.logger.Info("the token of the admin server can be read again")
		}
	}
	switch right := err == nil && sends(r, token); {
	case right:
		g.next.ServeHTTP(w, r)
	case probe:
		g.next.ServeHTTP(&statusAlone{ResponseWriter: w, status: http.StatusOK}, r)
	case err != nil:
		answer(w, http.StatusServiceUnavailable, plainText, []byte("the token cannot be read; the log says why\n"))
	default:
		// Prometheus and status send the first, a browser asks a person for the second.
		w.Header().Add("WWW-Authenticate", `Bearer realm="twochat-connector"`)
		w.Header().Add("WWW-Authenticate", `Basic realm="twochat-connector", charset="UTF-8"`)
		answer(w, http.StatusUnauthorized, plainText,
			[]byte("send the token as a bearer token, or as the password of any user\n"))
	}
}

// tokenError is the error of a token that cannot be read or must not be used, with the hint that check gives.
func tokenError(err error) error {
	return cli.UsageOf(cli.Hinted(fmt.Errorf("admin.token_file: %s", strings.TrimPrefix(err.Error(), "read secret: ")),
		config.TokenHint(err)))
}

// sends reports whether a request has the token: as a bearer token, or as the password of any user, as browsers send it.
// The comparison takes the same time for any token.
func sends(r *http.Request, token string) bool {
	_, sent, _ := r.BasicAuth()
	if scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		sent = strings.TrimSpace(rest)
	}
	got, want := sha256.Sum256([]byte(sent)), sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// statusAlone replaces the text of an answer, which names streams, by a word for its status.
type statusAlone struct {
	http.ResponseWriter
	status int
}

func (s *statusAlone) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

func (s *statusAlone) Write(text []byte) (int, error) {
	word := "ok\n"
	if s.status != http.StatusOK {
		word = "not ok; the reasons are told to whoever sends the token\n"
	}
	if _, err := s.ResponseWriter.Write([]byte(word)); err != nil {
		return 0, err
	}
	return len(text), nil
}
