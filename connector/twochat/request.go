package twochat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// maxDrain is how many bytes of an unwanted answer are read so that its connection can be reused.
const maxDrain = 64 << 10

// answer is a response that was read to its end. Its body is in the scratch memory.
type answer struct {
	status   int
	header   http.Header
	body     []byte // of a 200, and of a 404 up to maxDrain
	received time.Time
	// whole means that the answer had an explicit end. An answer that ends with its connection may be cut off anywhere.
	whole bool
}

// validators are what a server offers to recognise a page again (RFC 9110 §8.8).
type validators struct{ etag, modified string }

func (v validators) offered() bool { return v.etag != "" || v.modified != "" }

// offeredBy reads the validators of an answer. A date is used only if it is well before the answer: within the second
// of the last change it cannot tell two pages apart.
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
// It calls the transport and not an http.Client: a client would only add redirects, which take the API key to other
// hosts, and errors that contain the URL with the number in it.
func (c *Client) get(ctx context.Context, path string, known validators, s *scratch) (answer, error) {
	key, err := c.currentKey()
	if err != nil {
		return answer{}, err
	}
	attempt, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(attempt, http.MethodGet, c.base+path, nil)
	if err != nil {
		return answer{}, fault(connector.FaultRequest, 0, "base URL and number do not form an address")
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
		return answer{}, c.requestError(ctx, request, err)
	}
	defer response.Body.Close()
	got := answer{status: response.StatusCode, header: response.Header}
	if got.status != http.StatusOK {
		// The body of a switch to another protocol is the connection itself: it never ends, and no context ends it. Nothing
		// of a redirect is needed. Not reading an answer only costs a connection.
		switch {
		case got.status == http.StatusNotFound:
			s.body, _ = readAll(s.body[:0], io.LimitReader(response.Body, maxDrain), -1, maxDrain)
			got.body = s.body
		case got.status >= http.StatusBadRequest:
			_, _ = io.CopyN(io.Discard, response.Body, maxDrain)
		}
		if ctx.Err() != nil {
			return answer{}, c.requestError(ctx, request, ctx.Err())
		}
		got.received = c.now()
		return got, nil
	}
	s.body, err = readAll(s.body[:0], response.Body, response.ContentLength, c.maxBody)
	switch {
	case errors.Is(err, errTooLarge):
		s.body = nil
		large := fault(connector.FaultInvalid, got.status,
			"the answer is larger than %s, the limit (poll.max_page_bytes)", inBytes(c.maxBody))
		large.Hint = "raise poll.max_page_bytes, and the memory limit of the process; `twochat-connector explain` says how much"
		return answer{}, large
	case err != nil && ctx.Err() == nil && errors.Is(err, io.ErrUnexpectedEOF):
		return answer{}, fault(connector.FaultInvalid, got.status, "the answer is cut off")
	case err != nil:
		return answer{}, c.requestError(ctx, request, err)
	}
	got.body, got.received = s.body, c.now()
	got.whole = response.ContentLength >= 0 || len(response.TransferEncoding) > 0 || response.Uncompressed ||
		response.ProtoMajor > 1
	return got, nil
}

// requestError returns the context's error if the context has ended, and otherwise the fault of the request.
func (c *Client) requestError(ctx context.Context, request *http.Request, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("ask 2chat: %w", ctx.Err())
	}
	fault := requestFault(err, c.timeout)
	if c.own != nil && !aboutProxy(err) {
		if through, err := c.own.Proxy(request); err == nil && through != nil {
			fault.Err = fmt.Errorf("through the proxy in the environment (HTTPS_PROXY): %w", fault.Err)
		}
	}
	return fault
}

// Ready reports whether a request can be made: whether the API key can be read just now. It costs nothing. The error is
// a *connector.PageError.
func (c *Client) Ready() error {
	_, err := c.currentKey()
	return err
}

// hintKeyFile is what to do about a key that cannot be read.
const hintKeyFile = "write only the API key into the file that twochat.api_key_file names, and let this user read it; it is read again within seconds"

// keyFault is the error for a key that cannot be used.
func keyFault(format string, args ...any) error {
	wrong := fault(connector.FaultKey, 0, format, args...)
	wrong.Hint = hintKeyFile
	return wrong
}

// currentKey gets the API key and checks that it fits into a header.
func (c *Client) currentKey() (string, error) {
	key, err := c.key()
	if err != nil {
		return "", keyFault("read API key: %w", err)
	}
	key = strings.TrimSpace(key)
	if key == "" {
		return "", keyFault("the API key is empty")
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return "", keyFault("the API key holds blanks or characters that are not ASCII")
		}
	}
	return key, nil
}

var errTooLarge = errors.New("too large")

// readAll appends a body to dst, up to most bytes. size is what the server announced, or -1. The limit is enforced
// while the body is read: memory grows by doubling with the bytes received, and never beyond the limit.
func readAll(dst []byte, body io.Reader, size int64, most int) ([]byte, error) {
	if size > int64(most) {
		return dst, errTooLarge
	}
	// An announced size is only a hint, so no memory is allocated for a large one before its bytes arrive.
	dst = slices.Grow(dst, int(min(max(size, 16<<10), 1<<20))+1)
	for {
		if len(dst) == cap(dst) {
			larger := make([]byte, len(dst), min(2*len(dst), most+1))
			copy(larger, dst)
			dst = larger
		}
		n, err := body.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case len(dst) > most:
			return dst, errTooLarge
		case errors.Is(err, io.EOF):
			return dst, nil
		case err != nil:
			return dst, err
		}
	}
}

// inBytes writes a limit for a person.
func inBytes(n int) string {
	if n%(1<<20) == 0 {
		return strconv.Itoa(n>>20) + " MiB"
	}
	return strconv.Itoa(n) + " bytes"
}

// byteOrderMark is what some servers put before UTF-8, although JSON allows none.
const byteOrderMark = "\xef\xbb\xbf"

// unmarked is a body without its byte order mark.
func unmarked(body []byte) []byte { return bytes.TrimPrefix(body, []byte(byteOrderMark)) }

func (c *Client) borrow() *scratch { return c.scratch.Get().(*scratch) }

// keep returns a body that the caller may hold on to: a copy of the right size, or a large body itself, which is not
// reused for another call anyway and would otherwise be in memory twice.
func (s *scratch) keep(body []byte) []byte {
	if cap(body) <= keptScratch {
		return bytes.Clone(body)
	}
	s.body = nil
	return body
}

// giveBack returns the working memory for reuse. Nothing that a call returns may point into it.
func (c *Client) giveBack(s *scratch) {
	if cap(s.body) <= keptScratch {
		c.scratch.Put(s)
	}
}
