package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
)

// StatusWithin reads the status once, or repeatedly until everything is well or the time has passed.
func StatusWithin(ctx context.Context, base, where string, patience time.Duration) (body []byte, r pipeline.Report,
	err error,
) {
	deadline := time.Now().Add(patience)
	for {
		body, r, err = readStatus(ctx, base, where)
		if err == nil && r.Ready && r.Healthy || !time.Now().Before(deadline) || connector.Sleep(ctx, time.Second) != nil {
			return body, r, err
		}
	}
}

func readStatus(ctx context.Context, base, where string) (body []byte, r pipeline.Report, err error) {
	if body, err = Ask(ctx, base, where); err != nil {
		return nil, r, cli.Hinted(err, "check that the connector is running there, and name its admin server with --admin")
	}
	if err := json.Unmarshal(body, &r); err != nil || r.Version == "" {
		return nil, r, cli.Hinted(fmt.Errorf("the server at %s is not a connector of this version", where),
			"name the connector's admin server with --admin")
	}
	return body, r, nil
}

// URL is the URL of the admin server: the named one, or the configuration's admin.listen.
func URL(p *cli.Program, named string, settings *config.Flags) (string, error) {
	if named != "" {
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
	c, _, err := p.LoadKeyless(settings)
	if err != nil {
		return "", err
	}
	return LocalURL(c.Admin.Listen), nil
}

// LocalURL is the URL of an admin server on this machine.
func LocalURL(listen string) string {
	if strings.HasPrefix(listen, ":") || strings.HasPrefix(listen, "0.0.0.0:") || strings.HasPrefix(listen, "[::]:") {
		listen = "127.0.0.1" + listen[strings.LastIndex(listen, ":"):]
	}
	return "http://" + listen
}

// statusTimeout limits the request, and statusBytes the answer (a thousand streams take a megabyte).
const (
	statusTimeout = 5 * time.Second
	statusBytes   = 32 << 20
)

// Ask reads the status of an instance, as JSON. where is its name in errors, which quote no address.
func Ask(ctx context.Context, base, where string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/status", nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s: the address is not valid", where)
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %s", where, netCause(err))
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, statusBytes))
	switch {
	case err != nil:
		return nil, fmt.Errorf("ask %s: %s", where, netCause(err))
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("ask %s: it answered %d %s", where, response.StatusCode, http.StatusText(response.StatusCode))
	}
	return body, nil
}

// netCause describes why a connection failed, without the addresses that the libraries quote.
func netCause(err error) string {
	var (
		errno   syscall.Errno
		dns     *net.DNSError
		network net.Error
	)
	switch {
	case errors.As(err, &dns):
		return "its name does not resolve"
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "no answer in time"
	}
	return "the answer cannot be read"
}
