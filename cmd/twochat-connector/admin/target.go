package admin

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/sinks/secret"
)

// Target is an admin server to be asked.
type Target struct {
	URL string
	// Where is how a person calls it.
	Where string
	// Broken is what is wrong with the configuration, if the target is from what can be read of it.
	Broken error
	token  func() (string, error) // reads the token to send; nil: none
	trust  *tls.Config            // nil: the authorities that this machine trusts
}

// Flags name an admin server on a command line.
type Flags struct{ admin, tokenFile, caFile string }

// TargetFlags adds the flags that name an admin server.
func TargetFlags(flags *flag.FlagSet) *Flags {
	f := &Flags{}
	flags.StringVar(&f.admin, "admin", "",
		"`URL` of the admin server, such as http://127.0.0.1:8080, instead of the configured one")
	flags.StringVar(&f.tokenFile, "token-file", "",
		"`file` with the server's token; the configuration's with its admin server, else the environment "+
			config.AdminTokenVariable)
	flags.StringVar(&f.caFile, "ca-file", "",
		"`file` with the authorities to trust, in PEM; the configuration's certificate with its admin server, else the system's")
	return f
}

// TargetOf is the admin server that the flags name, or else the configuration's.
func TargetOf(p *cli.Program, f *Flags, settings *config.Flags) (Target, error) {
	t, err := f.server(p, settings)
	if err != nil {
		return t, err
	}
	if f.tokenFile != "" {
		t.token = func() (string, error) {
			token, err := secret.Line(f.tokenFile)
			if err != nil {
				return "", cli.Hinted(fmt.Errorf("flag --token-file: %w", err),
					"name a file that holds the token alone, and that this user may read")
			}
			return token, nil
		}
	}
	if f.caFile != "" {
		if t.trust, err = trusting(f.caFile); err != nil {
			return t, err
		}
	}
	return t, nil
}

// server is the target without what the other flags say of it.
func (f *Flags) server(p *cli.Program, settings *config.Flags) (Target, error) {
	if f.admin == "" {
		c, _, err := p.LoadKeyless(settings)
		var wrong config.Problems
		switch {
		case err == nil:
			return Local(c), nil
		case settings.Config != "" && errors.As(err, &wrong):
			t := Local(config.ReadableAdmin(*settings, p.Env))
			t.Broken = err
			return t, nil
		case settings.Config != "":
			return Target{}, cli.UsageOf(cli.Hinted(err, hintWithoutFile))
		}
		return Target{}, err
	}
	named, err := namedURL(f.admin)
	if err != nil {
		return Target{}, err
	}
	t := Target{URL: named, Where: "the admin server that --admin names"} // whatever was written there
	token, err := config.AdminTokenIn(p.Env)
	if err != nil {
		return t, cli.UsageOf(err)
	}
	if token != "" {
		t.token = func() (string, error) { return token, nil }
	}
	return t, nil
}

// namedURL is a URL that a person wrote, as it is used.
func namedURL(named string) (string, error) {
	if !strings.Contains(named, "://") {
		named = "http://" + named
	}
	u, err := url.Parse(named)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return "", cli.Usage("flag --admin: expected a URL such as http://127.0.0.1:8080")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", cli.Usage("flag --admin: expected a URL without user, password, query and fragment, such as http://127.0.0.1:8080")
	}
	return strings.TrimRight(named, "/"), nil
}

// trusting trusts the authorities in a file.
func trusting(file string) (*tls.Config, error) {
	text, err := secret.Text(file)
	pool := x509.NewCertPool()
	if err == nil && !pool.AppendCertsFromPEM([]byte(text)) {
		err = fmt.Errorf("no certificate in %s", secret.Shown(file))
	}
	if err != nil {
		return nil, cli.UsageOf(cli.Hinted(fmt.Errorf("flag --ca-file: %w", err),
			"name a file with certificates in PEM that this user may read"))
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}, nil
}

// Local is the admin server of a configuration, on this machine. It is addressed by an IP address, which
// its certificate rarely names, so exactly the certificate in the configuration is trusted, and no other.
func Local(c *config.Config) Target {
	listen := c.Admin.Listen
	if strings.HasPrefix(listen, ":") || strings.HasPrefix(listen, "0.0.0.0:") || strings.HasPrefix(listen, "[::]:") {
		listen = "127.0.0.1" + listen[strings.LastIndex(listen, ":"):]
	}
	t := Target{URL: "http://" + listen}
	if c.Admin.TLS.Set() {
		t.URL = "https://" + listen
		t.trust = &tls.Config{
			MinVersion:         tls.VersionTLS12,
			InsecureSkipVerify: true, // what VerifyConnection looks at says more than a name and an authority
			VerifyConnection: func(state tls.ConnectionState) error {
				return wantCertificate(c.Admin.TLS.CertFile, state.PeerCertificates)
			},
		}
	}
	t.Where = "the admin server at " + t.URL
	if c.Admin.AsksForToken() {
		t.token = func() (string, error) {
			token, err := c.Admin.Token()
			if err != nil {
				return "", tokenError(err)
			}
			return token, nil
		}
	}
	return t
}

var errOtherCertificate = errors.New("its certificate is another than that of admin.tls.cert_file")

// wantCertificate wants a server to have the first certificate of a file.
func wantCertificate(file config.FileSecret, shown []*x509.Certificate) error {
	content, err := file.Read()
	if err != nil {
		return unreadable("admin.tls.cert_file", "the server's certificate, in PEM,", err)
	}
	text, err := secret.Decode([]byte(content))
	if err != nil {
		return unreadable("admin.tls.cert_file", "the server's certificate, in PEM,", err)
	}
	own, _ := pem.Decode([]byte(text))
	if own == nil || len(shown) == 0 || !bytes.Equal(own.Bytes, shown[0].Raw) {
		return errOtherCertificate
	}
	return nil
}

// Answers reports whether an instance that runs with a configuration answers: whether its admin server knows the stream.
func Answers(ctx context.Context, c *config.Config, stream string) bool {
	if strings.HasSuffix(c.Admin.Listen, ":0") {
		return false // no fixed address
	}
	body, err := Local(c).Ask(ctx)
	var r pipeline.Report
	return err == nil && json.Unmarshal(body, &r) == nil &&
		slices.ContainsFunc(r.Streams, func(of pipeline.StreamReport) bool { return of.Stream == stream })
}
