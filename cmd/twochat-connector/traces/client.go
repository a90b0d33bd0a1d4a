package traces

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/connector"
)

// client sends batches of spans to an OTLP receiver over HTTP. The library's own client links gRPC, which would make
// the program five megabytes larger, and its errors quote addresses.
type client struct {
	settings  Settings
	transport *http.Transport
}

var _ otlptrace.Client = (*client)(nil)

func newClient(s Settings) *client {
	return &client{settings: s, transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: s.tls, ForceAttemptHTTP2: true,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second, MaxIdleConnsPerHost: 1, IdleConnTimeout: 30 * time.Second,
	}}
}

// Start implements otlptrace.Client.
func (c *client) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (c *client) Stop(context.Context) error {
	c.transport.CloseIdleConnections()
	return nil
}

// UploadTraces implements otlptrace.Client. Failures that may pass are tried again within the time-out.
func (c *client) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	// An ExportTraceServiceRequest has the same fields as TracesData, and its package links gRPC.
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return errors.New("the spans cannot be encoded")
	}
	if c.settings.compress {
		var packed bytes.Buffer
		writer := gzip.NewWriter(&packed)
		if _, err = writer.Write(body); err == nil {
			err = writer.Close()
		}
		if err != nil {
			return errors.New("the spans cannot be compressed")
		}
		body = packed.Bytes()
	}
	ctx, cancel := context.WithTimeout(ctx, c.settings.timeout)
	defer cancel()
	wait := connector.NewBackoff(500*time.Millisecond, 5*time.Second)
	for {
		again, err := c.send(ctx, body)
		if err == nil || again < 0 {
			return err
		}
		if connector.Sleep(ctx, max(again, wait.Next())) != nil {
			return err
		}
	}
}

// send makes one attempt. After a failure that may pass, again is how long the receiver asked to wait, or 0; after any
// other failure it is negative.
func (c *client) send(ctx context.Context, body []byte) (again time.Duration, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.settings.url, bytes.NewReader(body))
	if err != nil {
		return -1, errors.New("the address is not valid")
	}
	for name, value := range c.settings.headers {
		request.Header.Set(name, value)
	}
	request.Header.Set("Content-Type", "application/x-protobuf")
	if c.settings.compress {
		request.Header.Set("Content-Encoding", "gzip")
	}
	response, err := c.transport.RoundTrip(request) // follows no redirect, which could send the headers elsewhere
	if err != nil {
		return 0, errors.New(cli.NetCause(err,
			"the connection failed: it speaks another protocol, or its certificate is not trusted"))
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)) // so that the connection is reused
	switch response.StatusCode {
	case http.StatusOK, http.StatusAccepted, http.StatusNoContent:
		return 0, nil
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
		again = time.Duration(max(0, seconds)) * time.Second
	default:
		again = -1
	}
	return again, fmt.Errorf("it answered %d %s", response.StatusCode, http.StatusText(response.StatusCode))
}
