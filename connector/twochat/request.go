package twochat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

const (
	// maxBody is how large an answer may be, decompressed.
	maxBody = 64 << 20
	// maxDrain is how much of an answer that is not wanted is read, so that its connection can be used again.
	maxDrain = 64 << 10
)

// answer is a response read to its end. Its body lies in the scratch memory it was read with.
type answer struct {
	status   int
	header   http.Header
	body     []byte // of a 200, and of a 404 up to maxDrain
	received time.Time
	// whole says that the answer had an end of its own: one that ends with its connection may be cut off at any place.
	whole bool
}

// validators are what a server offers to recognise a page again (RFC 9110 §8.8).
type validators struct{ etag, modified string }

func (v validators) offered() bool { return v.etag != "" || v.modified != "" }

// offeredBy reads the validators of an answer. A date is used only where it lies well before the answer: within the
// second of the last change it cannot tell two pages apart.
func offeredBy(header http.Header) validators {
	v := validators{etag: header.Get("ETag"), modified: header.Get("Last-Modified")}
	modified, err := http.ParseTime(v.modified)
	date, err2 := http.ParseTime(header.Get("Date"))
	if err != nil || err2 != nil || date.Sub(modified) < 2*time.Second {
		v.modified = ""
	}
	if len(v.etag) > 1024 {
		v.etag = ""
	}
	return v
}

// get makes one request and reads the answer to its end. The error is the context's own, wrapped, or a
// *connector.PageError; a status other than 200 is no error here.
//
// It calls the transport and not an http.Client: a client adds nothing but redirects, which would take the API key along
// to other hosts, and errors that print the URL with the number in it.
func (c *Client) get(ctx context.Context, path string, known validators, s *scratch) (answer, error) {
	key, err := c.currentKey()
	if err != nil {
		return answer{}, err
	}
	attempt, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(attempt, http.MethodGet, c.base+path, nil)
	if err != nil {
		return answer{}, fault(connector.FaultRequest, 0, "base URL and number make no address")
	}
	request.Header.Set("X-User-API-Key", key)
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", c.agent)
	if known.etag != "" {
		request.Header.Set("If-None-Match", known.etag)
	}
	if known.modified != "" {
		request.Header.Set("If-Modified-Since", known.modified)
	}
	response, err := c.transport.RoundTrip(request)
	if err != nil {
		return answer{}, c.requestError(ctx, err)
	}
	defer response.Body.Close()
	got := answer{status: response.StatusCode, header: response.Header}
	if got.status != http.StatusOK {
		// What is not read of it costs a connection, no more.
		if got.status == http.StatusNotFound {
			s.body, _ = readAll(s.body[:0], io.LimitReader(response.Body, maxDrain), -1)
			got.body = s.body
		} else {
			_, _ = io.CopyN(io.Discard, response.Body, maxDrain)
		}
		if ctx.Err() != nil {
			return answer{}, c.requestError(ctx, ctx.Err())
		}
		got.received = c.now()
		return got, nil
	}
	s.body, err = readAll(s.body[:0], response.Body, response.ContentLength)
	switch {
	case errors.Is(err, errTooLarge):
		return answer{}, fault(connector.FaultInvalid, got.status, "the answer is larger than %d MiB", maxBody>>20)
	case err != nil && ctx.Err() == nil && errors.Is(err, io.ErrUnexpectedEOF):
		return answer{}, fault(connector.FaultInvalid, got.status, "the answer is cut off")
	case err != nil:
		return answer{}, c.requestError(ctx, err)
	}
	got.body, got.received = s.body, c.now()
	got.whole = response.ContentLength >= 0 || len(response.TransferEncoding) > 0 || response.Uncompressed || response.ProtoMajor > 1
	return got, nil
}

// requestError is the context's end where it has ended, else what kept the answer away.
func (c *Client) requestError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("ask 2chat: %w", ctx.Err())
	}
	return requestFault(err, c.timeout)
}

// currentKey asks for the API key and checks that a header can carry it.
func (c *Client) currentKey() (string, error) {
	key, err := c.key()
	if err != nil {
		return "", fault(connector.FaultKey, 0, "read API key: %w", err)
	}
	key = strings.TrimSpace(key)
	if key == "" {
		return "", fault(connector.FaultKey, 0, "the API key is empty")
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return "", fault(connector.FaultKey, 0, "the API key holds blanks or characters that are not ASCII")
		}
	}
	return key, nil
}

var errTooLarge = errors.New("too large")

// readAll appends a body to dst, up to maxBody. size is what the server announced, or -1.
func readAll(dst []byte, body io.Reader, size int64) ([]byte, error) {
	if size > maxBody {
		return dst, errTooLarge
	}
	// An announced size is only a hint, so memory is not given for a large one before its bytes come.
	buffer := bytes.NewBuffer(dst)
	buffer.Grow(int(min(max(size, 16<<10), 1<<20)) + bytes.MinRead)
	n, err := buffer.ReadFrom(io.LimitReader(body, maxBody+1))
	if err == nil && n > maxBody {
		err = errTooLarge
	}
	return buffer.Bytes(), err
}

func (c *Client) borrow() *scratch { return c.scratch.Get().(*scratch) }

// giveBack keeps the working memory for another call. Nothing that a call returns may lie in it.
func (c *Client) giveBack(s *scratch) {
	if cap(s.body) <= keptScratch {
		c.scratch.Put(s)
	}
}
