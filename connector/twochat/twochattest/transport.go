package twochattest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
)

// Transport carries requests for any host to the Fake without a network or a goroutine: for fast tests, and for tests
// inside a testing/synctest bubble, where waits take no real time.
func (f *Fake) Transport() http.RoundTripper { return transport{f} }

type transport struct{ fake *Fake }

var errBrokenOff = errors.New("the connection was reset by the fake 2Chat")

func (t transport) RoundTrip(r *http.Request) (response *http.Response, err error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	a := answer{header: http.Header{}}
	func() {
		defer func() {
			if cause := recover(); cause == any(http.ErrAbortHandler) {
				err = errBrokenOff
			} else if cause != nil {
				panic(cause)
			}
		}()
		t.fake.ServeHTTP(&a, r)
	}()
	if err == nil {
		err = r.Context().Err() // a wait may have ended early
	}
	if err != nil {
		return nil, err
	}
	return a.response(r), nil
}

// answer is a response while it is written.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }

func (a *answer) response(r *http.Request) *http.Response {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	response := &http.Response{
		Status: strconv.Itoa(a.status) + " " + http.StatusText(a.status), StatusCode: a.status, Proto: "HTTP/1.1",
		ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header, ContentLength: int64(a.body.Len()), Request: r, Body: io.NopCloser(&a.body),
		Close: a.header.Get("Connection") == "close",
	}
	if a.header.Get("Transfer-Encoding") != "" {
		response.ContentLength = -1
		a.header.Del("Transfer-Encoding")
	}
	if promised, err := strconv.Atoi(a.header.Get("Content-Length")); err == nil && promised > a.body.Len() {
		response.ContentLength = int64(promised)
		response.Body = io.NopCloser(io.MultiReader(&a.body, brokenOff{}))
	}
	return response
}

// brokenOff is the end of a body that is shorter than its stated length.
type brokenOff struct{}

func (brokenOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
