package twochattest

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// body writes a page as the API does.
func (v view) body() []byte {
	out := make([]byte, 0, 64+len(v.rows)*512)
	out = append(out, '{')
	if v.fault.Kind != KindNoSuccess {
		out = append(out, `"success":true,`...)
	}
	if v.fault.Kind != KindNoEcho {
		echo := v.page
		if v.fault.Kind == KindWrongEcho {
			echo++
		}
		out = append(strconv.AppendInt(append(out, `"page_number":`...), int64(echo), 10), ',')
	}
	if v.fault.Kind == KindNullMessages {
		return append(out, `"messages":null}`...)
	}
	out = append(out, `"messages":[`...)
	for i, r := range v.rows {
		if i > 0 {
			out = append(out, ',')
		}
		out = v.number.appendItem(out, v.indexes[i], r, r.version, v.shape)
	}
	out = append(out, `]}`...)
	if v.shape != nil {
		out = reshape(out, v.shape.Around, nil)
	}
	return out
}

// answer writes a page, or the faulty form of it.
func (f *Fake) answer(w http.ResponseWriter, r *http.Request, v view) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	delay := v.fault.Delay
	if delay == 0 {
		delay = 2 * time.Second
	}
	switch v.fault.Kind {
	case KindSuccessFalse:
		w.Write([]byte(`{"success":false,"error":true,"error_message":"something went wrong"}`))
		return
	case KindHTML:
		header.Set("Content-Type", "text/html; charset=utf-8")
		w.Write([]byte("<!doctype html><html><body>We will be back soon.</body></html>"))
		return
	case KindReset:
		reset(w)
		return
	case KindRedirect:
		w.Header().Set("Location", f.options.RedirectTo)
		w.WriteHeader(http.StatusFound)
		return
	case KindLuckyCut:
		// Without a length, on a connection that is closed, nothing shows that something is missing.
		header.Set("Connection", "close")
		header.Set("Transfer-Encoding", "identity")
		w.WriteHeader(http.StatusOK)
		http.NewResponseController(w).Flush()
		w.Write([]byte(`{"success":true,"page_number":` + strconv.Itoa(v.page) + `}`))
		return
	case KindSlow:
		if !wait(r, delay) {
			return
		}
	case KindSwitch:
		if !raw(w, r, []byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")) {
			w.WriteHeader(http.StatusSwitchingProtocols)
		}
		return
	}
	body := v.body()
	switch v.fault.Kind {
	case KindBehind:
		head := "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n"
		first := body[bytes.IndexByte(body, '[')+1:]
		if raw(w, r, slices.Concat([]byte(head), body, first[:min(len(first), 1000)])) {
			return
		}
	case KindMarked:
		body = append([]byte("\xef\xbb\xbf"), body...)
	case KindDeep:
		const levels = 100_000
		deep := strings.Repeat("[", levels) + strings.Repeat("]", levels)
		body = append(body[:len(body)-1], `,"deep":`+deep+`}`...)
	case KindTrailingGarbage:
		body = append(body, "\n{\"debug\":\"left over\"}"...)
	case KindOversized:
		f.oversized(w, r, body)
		return
	case KindTruncated:
		header.Set("Content-Length", strconv.Itoa(len(body)))
		w.Write(body[:len(body)*2/3])
		return // shorter than promised: the server ends the connection
	}
	if f.options.Validators {
		sum := sha256.Sum256(body)
		tag := `"` + hex.EncodeToString(sum[:12]) + `"`
		header.Set("ETag", tag)
		if strings.Contains(r.Header.Get("If-None-Match"), tag) {
			header.Del("Content-Type")
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	if f.options.Gzip && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		var packed bytes.Buffer
		zip, _ := gzip.NewWriterLevel(&packed, gzip.BestSpeed) // the level is valid
		zip.Write(body)
		zip.Close()
		header.Set("Content-Encoding", "gzip")
		body = packed.Bytes()
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	if v.fault.Kind == KindStall {
		w.Write(body[:len(body)/2])
		http.NewResponseController(w).Flush()
		if !wait(r, delay) {
			return
		}
		body = body[len(body)/2:]
	}
	w.Write(body)
}

// oversized pads a page with white space in front of its end.
func (f *Fake) oversized(w http.ResponseWriter, r *http.Request, body []byte) {
	head, tail := body[:len(body)-1], body[len(body)-1:]
	padding := bytes.Repeat([]byte(" "), 64<<10)
	w.Write(head)
	for left := f.options.OversizedBytes - len(body); left > 0; left -= len(padding) {
		if r.Context().Err() != nil {
			return
		}
		if _, err := w.Write(padding[:min(left, len(padding))]); err != nil {
			return
		}
	}
	w.Write(tail)
}

// raw answers with bytes as they are, and then with nothing until the client goes, or for ten seconds. It returns false
// if there is no connection for that.
func raw(w http.ResponseWriter, r *http.Request, answer []byte) bool {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return false
	}
	defer connection.Close()
	defer context.AfterFunc(r.Context(), func() { _ = connection.Close() })()
	_ = connection.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = connection.Write(answer)
	_, _ = io.Copy(io.Discard, connection)
	return true
}

// reset breaks off the connection within the first line of an answer.
func reset(w http.ResponseWriter) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // with a recorder or HTTP/2, this is the closest equivalent
	}
	// Without a first byte, Go's client repeats the request by itself on a connection that was used before.
	connection.Write([]byte("HTTP/1.1 2"))
	if tcp, ok := connection.(*net.TCPConn); ok {
		tcp.SetLinger(0) // RST, not FIN
	}
	connection.Close()
}
