package twochat

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// newTransport returns a transport for many requests to one host: it keeps idle connections, and detects dead ones by
// pings rather than by the time-out of every stream.
func newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  proxy,
		OnProxyConnectResponse: proxyAnswered,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 20 * time.Second, PingTimeout: 10 * time.Second},
		MaxIdleConns:           64,
		MaxIdleConnsPerHost:    32,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// errProxyAddress means that the environment names a proxy that cannot be used. It does not quote the address, which
// may contain a password.
var errProxyAddress = errors.New("the proxy in the environment (HTTPS_PROXY) has no address of the form http://host:port")

func proxy(r *http.Request) (*url.URL, error) { return usableProxy(http.ProxyFromEnvironment(r)) }

// usableProxy refuses a proxy address that net/http would misread and fail on later with an error that hides the cause.
func usableProxy(found *url.URL, err error) (*url.URL, error) {
	if err != nil {
		return nil, errProxyAddress
	}
	if found == nil {
		return nil, nil
	}
	switch found.Scheme {
	case "http", "https", "socks5", "socks5h":
		return found, nil
	}
	return nil, errProxyAddress
}

// proxyRefusal is a proxy's refusal to connect to 2Chat.
type proxyRefusal struct{ status int }

func (p *proxyRefusal) Error() string { return fmt.Sprintf("the proxy answers %d", p.status) }

// proxyAnswered keeps the status of a proxy's refusal: net/http would return an error with the proxy's own text.
func proxyAnswered(_ context.Context, _ *url.URL, _ *http.Request, response *http.Response) error {
	if response.StatusCode != http.StatusOK {
		return &proxyRefusal{response.StatusCode}
	}
	return nil
}
