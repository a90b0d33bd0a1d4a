package twochat

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// hintProxy is the hint for a proxy that blocks requests.
const hintProxy = "correct HTTPS_PROXY (http://user:password@host:port), let the proxy allow the host of twochat.base_url, " +
	"or go round it with NO_PROXY"

func fault(kind connector.PageFault, status int, format string, args ...any) *connector.PageError {
	return &connector.PageError{Fault: kind, Status: status, Err: fmt.Errorf(format, args...)}
}

// statusFault classifies a status other than 200 by the reaction that it calls for (connector/README.md, Error
// statuses). It uses only the status code, as bodies come in three shapes and their texts change.
func statusFault(status int) *connector.PageError {
	switch status {
	case http.StatusUnauthorized:
		return fault(connector.FaultKey, status, "the API key is wrong")
	case http.StatusForbidden:
		return fault(connector.FaultKey, status, "the API key is missing or may not read this")
	case http.StatusPaymentRequired:
		return fault(connector.FaultCredits, status, "the account's credits are used up, or its trial is over")
	case http.StatusNotFound:
		return fault(connector.FaultNumber, status, "the number is not connected to this account")
	case http.StatusTooManyRequests:
		return fault(connector.FaultRateLimited, status, "too many requests")
	case http.StatusConflict:
		return fault(connector.FaultTransient, status, "the number is starting after a restart")
	case http.StatusGone:
		return fault(connector.FaultTransient, status, "the number is connecting or disconnecting")
	case 486:
		return fault(connector.FaultTransient, status, "the number is busy")
	case http.StatusRequestTimeout, http.StatusTooEarly:
		return fault(connector.FaultTransient, status, "the server asks to try again")
	case http.StatusProxyAuthRequired, http.StatusNetworkAuthenticationRequired:
		refused := fault(connector.FaultRequest, status, "a proxy on the way to 2Chat requires credentials")
		refused.Hint = hintProxy
		return refused
	case http.StatusSwitchingProtocols:
		return fault(connector.FaultInvalid, status, "the server switches to another protocol, which was not requested")
	case http.StatusNotModified:
		return fault(connector.FaultInvalid, status, "the server answers that nothing has changed, although the request was unconditional")
	case http.StatusUnprocessableEntity:
		return fault(connector.FaultRequest, status, "the server says that the number is malformed")
	}
	switch status / 100 {
	case 3:
		return fault(connector.FaultRequest, status,
			"the server redirects; this is not followed, because the API key would be sent along; the base URL has to be one that does not redirect")
	case 4:
		return fault(connector.FaultRequest, status, "the server refuses the request")
	case 5:
		return fault(connector.FaultTransient, status, "the server has a problem")
	}
	return fault(connector.FaultInvalid, status, "unexpected answer")
}

// ownError reports whether the body of an error has one of the three shapes in which 2Chat writes them
// (connector/README.md, Error bodies). Anything else comes from a proxy or a load balancer, which knows nothing about
// the number or the list.
func ownError(body []byte) bool {
	var shape struct {
		Detail  json.RawMessage `json:"detail"`
		Message *string         `json:"message"`
		Error   *string         `json:"error_message"`
		Success *bool           `json:"success"`
	}
	if json.Unmarshal(body, &shape) != nil {
		return false
	}
	detail := len(shape.Detail) > 0 && (shape.Detail[0] == '"' || shape.Detail[0] == '[')
	return detail || shape.Message != nil || shape.Error != nil || shape.Success != nil && !*shape.Success
}

// retryAfter reads the Retry-After header: seconds, or a date, which is compared with the server's own clock if the
// answer has a Date.
func retryAfter(header http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(header.Get("Retry-After"))
	if value == "" {
		return 0
	}
	var wait time.Duration
	if seconds, err := strconv.ParseFloat(value, 64); err == nil {
		if !(seconds < connector.MaxRetryAfter.Seconds()) {
			seconds = connector.MaxRetryAfter.Seconds()
		}
		wait = time.Duration(max(seconds, 0) * float64(time.Second))
	} else if date, err := http.ParseTime(value); err == nil {
		if shown, err := http.ParseTime(header.Get("Date")); err == nil {
			now = shown
		}
		wait = date.Sub(now)
	}
	return min(max(wait, 0), connector.MaxRetryAfter)
}

// requestFault returns the error of a request without a complete answer. Only texts of known origin are kept: net/http
// quotes URLs and pieces of malformed answers in its errors, and both can contain a number or a customer's text.
func requestFault(err error, timeout time.Duration) *connector.PageError {
	var (
		refusal     *proxyRefusal
		dns         *net.DNSError
		errno       syscall.Errno
		certificate *tls.CertificateVerificationError
		host        x509.HostnameError
		record      tls.RecordHeaderError
		alert       tls.AlertError
		network     net.Error
	)
	switch {
	case errors.Is(err, errProxyAddress):
		wrong := fault(connector.FaultRequest, 0, "%w", errProxyAddress)
		wrong.Hint = hintProxy
		return wrong
	case errors.As(err, &refusal):
		return refusal.fault()
	case errors.As(err, &dns):
		return fault(connector.FaultTransient, 0, "resolve the server's name: no such host, or the resolver is down")
	case errors.As(err, &certificate):
		return fault(connector.FaultTransient, 0, "the server's certificate is not accepted: %w", certificate.Err)
	case errors.As(err, &host):
		return fault(connector.FaultTransient, 0, "the server's certificate is for another host")
	case errors.As(err, &record):
		return fault(connector.FaultTransient, 0, "the server does not speak TLS")
	case errors.As(err, &alert):
		return fault(connector.FaultTransient, 0, "TLS handshake: %w", alert)
	case errors.As(err, &errno):
		return fault(connector.FaultTransient, 0, "connection: %w", errno)
	case errors.As(err, &network) && network.Timeout():
		return fault(connector.FaultTransient, 0, "no complete answer within %v", timeout)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return fault(connector.FaultTransient, 0, "the connection ended before the answer came")
	}
	return fault(connector.FaultTransient, 0, "the answer is not valid HTTP")
}

// aboutProxy reports whether the error already mentions the proxy.
func aboutProxy(err error) bool {
	var refusal *proxyRefusal
	return errors.Is(err, errProxyAddress) || errors.As(err, &refusal)
}

// fault classifies a proxy's refusal. The text states that the status is the proxy's, as 2Chat was not reached.
func (p *proxyRefusal) fault() *connector.PageError {
	kind, why := connector.FaultRequest, "its rules do not allow a connection to 2Chat"
	switch {
	case p.status == http.StatusProxyAuthRequired:
		why = "it requires a user and password"
	case p.status >= http.StatusInternalServerError:
		kind, why = connector.FaultTransient, "it has a problem, or does not reach 2Chat"
	case p.status < http.StatusBadRequest:
		why = "it is not a proxy for HTTPS"
	}
	refused := fault(kind, p.status, "the proxy in the environment (HTTPS_PROXY) opens no connection to 2Chat: %s", why)
	refused.Hint = hintProxy
	return refused
}
