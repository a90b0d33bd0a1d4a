package twochat

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// hasty is a client whose calls end soon, whatever the server does.
func hasty(t *testing.T, baseURL string, most int) *Client {
	t.Helper()
	c, err := New(Config{BaseURL: baseURL, Key: func() (string, error) {
		return apiKey, nil
	}, Timeout: 150 * time.Millisecond, MaxPageBytes: most})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// Whatever a server does, a call ends within its time-out, with an error of its kind that shows nothing of the answer.
// If one does not end, the test hangs.
func TestClient_EveryAnswerEnds(t *testing.T) {
	const secret = "+5215512345432 secret text"
	// until repeats a text for as long as the client listens.
	until := func(c net.Conn, text string) {
		for {
			if _, err := io.WriteString(c, text); err != nil {
				return
			}
		}
	}
	// slowly writes one byte at a time.
	slowly := func(c net.Conn, text string) {
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for i := 0; ; i++ {
			<-ticker.C
			if _, err := c.Write([]byte{text[i%len(text)]}); err != nil {
				return
			}
		}
	}
	// silence waits until the client closes.
	silence := func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
	const page = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	for name, test := range map[string]struct {
		serve func(net.Conn)
		want  connector.PageFault
		says  string
	}{
		"switch of protocols": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"+secret)
			silence(c)
		}, connector.FaultInvalid, "HTTP 101"},
		"switch that talks": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
			until(c, secret)
		}, connector.FaultInvalid, "HTTP 101"},
		"endless informational answers": {func(c net.Conn) {
			until(c, "HTTP/1.1 103 Early Hints\r\nLink: "+secret+"\r\n\r\n")
		}, connector.FaultTransient, ""},
		"slow informational answers": {func(c net.Conn) {
			slowly(c, "HTTP/1.1 102 Processing\r\n\r\n")
		}, connector.FaultTransient, "150ms"},
		"nothing": {silence, connector.FaultTransient, "150ms"},
		"half a header": {func(c net.Conn) {
			_, _ = io.WriteString(c, page)
			silence(c)
		}, connector.FaultTransient, "150ms"},
		"endless header": {func(c net.Conn) {
			_, _ = io.WriteString(c, page+"X: ")
			until(c, secret)
		}, connector.FaultTransient, ""},
		"no body": {func(c net.Conn) {
			_, _ = io.WriteString(c, page+"Content-Length: 50\r\n\r\n")
			silence(c)
		}, connector.FaultTransient, "150ms"},
		"trickled body": {func(c net.Conn) {
			_, _ = io.WriteString(c, page+"\r\n")
			slowly(c, " ")
		}, connector.FaultTransient, "150ms"},
		"trickled chunks": {func(c net.Conn) {
			_, _ = io.WriteString(c, page+"Transfer-Encoding: chunked\r\n\r\n")
			slowly(c, "1\r\n \r\n")
		}, connector.FaultTransient, "150ms"},
		"trickled trailer": {func(c net.Conn) {
			_, _ = io.WriteString(c, page+"Transfer-Encoding: chunked\r\n\r\n0\r\nX: ")
			slowly(c, "y")
		}, connector.FaultTransient, "150ms"},
		"trickled error": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 503 Service Unavailable\r\n\r\n")
			slowly(c, " ")
		}, connector.FaultTransient, "HTTP 503"},
		"endless redirect": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 302 Found\r\nLocation: /"+secret+"\r\n\r\n")
			until(c, " ")
		}, connector.FaultRequest, "HTTP 302"},
		"endless body": {func(c net.Conn) {
			_, _ = io.WriteString(c, page+"\r\n")
			until(c, strings.Repeat(" ", 32<<10))
		}, connector.FaultInvalid, "larger than 1 MiB, the limit (poll.max_page_bytes)"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := hasty(t, raw(t, test.serve), 1<<20).Page(t.Context(), stream, 0, "")
			if fault := pageError(t, err); fault.Fault != test.want || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, want %s and %q", err, test.want, test.says)
			}
			clean(t, err)
		})
	}
}

func TestClient_PageLimit(t *testing.T) {
	const most = 100_000
	page := func(size int) string {
		const before, after = `{"messages":[{"uuid":"a","text":"`, `"}]}`
		return before + strings.Repeat("x", size-len(before)-len(after)) + after
	}
	for _, flush := range []bool{false, true} { // with a length, and without one
		for size, good := range map[int]bool{most - 1: true, most: true, most + 1: false} {
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if flush {
					w.(http.Flusher).Flush()
				}
				_, _ = io.WriteString(w, page(size))
			})
			c.maxBody = most
			got, err := c.Page(t.Context(), stream, 0, "")
			if (err == nil) != good {
				t.Errorf("%d bytes of %d at most: %v", size, most, err)
			}
			if good && (len(got.Messages) != 1 || len(got.Messages[0].Data) < size-100) {
				t.Errorf("%d bytes of %d at most: %d messages", size, most, len(got.Messages))
			}
			if good {
				continue
			}
			const says = "larger than 100000 bytes, the limit (poll.max_page_bytes)"
			if !strings.Contains(err.Error(), says) || !strings.Contains(pageError(t, err).Hint, "raise poll.max_page_bytes") {
				t.Errorf("the error names no setting: %v", err)
			}
		}
	}
	for most, good := range map[int]bool{-1: false, 0: true, LimitPageBytes: true, LimitPageBytes + 1: false} {
		if _, err := New(Config{BaseURL: "https://api.p.2chat.io", Key: func() (string, error) {
			return "k", nil
		}, MaxPageBytes: most}); (err == nil) != good {
			t.Errorf("a limit of %d: %v", most, err)
		}
	}
}

// Memory grows with the bytes received, and stays below the limit.
func TestReadAll_MemoryIsBounded(t *testing.T) {
	endless := readerFunc(func(p []byte) (int, error) { return len(p), nil })
	for _, most := range []int{1 << 20, 3_000_000, DefaultMaxPageBytes} {
		got, err := readAll(nil, endless, -1, most)
		if !errors.Is(err, errTooLarge) || cap(got) > most+most/8+64<<10 {
			t.Errorf("at most %d: %v, with %d bytes of memory", most, err, cap(got))
		}
		if got, err = readAll(nil, endless, int64(most)+1, most); !errors.Is(err, errTooLarge) || cap(got) > 0 {
			t.Errorf("at most %d, announced: %v, with %d bytes of memory", most, err, cap(got))
		}
	}
	for _, size := range []int{100_000, 1_000_000} {
		if got, err := readAll(nil, io.LimitReader(endless, int64(size)), -1, LimitPageBytes); err != nil ||
			len(got) != size || cap(got) > 3*size {
			t.Errorf("%d bytes: %d of memory, %v", size, cap(got), err)
		}
	}
	got, err := readAll(nil, io.LimitReader(endless, 10), 1<<40, 1<<41)
	if err != nil || len(got) != 10 || cap(got) > 2<<20 {
		t.Errorf("a false announcement: %d bytes, %d of memory, %v", len(got), cap(got), err)
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestClient_ByteOrderMark(t *testing.T) {
	utf16 := func(mark string, order func(byte) []byte) string {
		out := mark
		for _, c := range []byte(documented[:200]) {
			out += string(order(c))
		}
		return out
	}
	for name, test := range map[string]struct {
		body string
		says string
	}{
		"mark":             {"\xef\xbb\xbf" + documented, ""},
		"mark and blanks":  {"\xef\xbb\xbf\r\n " + documented + "\r\n", ""},
		"blanks":           {"\r\n\r\n" + documented + "\r\n", ""},
		"two marks":        {"\xef\xbb\xbf\xef\xbb\xbf" + documented, "not JSON"},
		"mark at the end":  {documented + "\xef\xbb\xbf", "something follows"},
		"mark alone":       {"\xef\xbb\xbf", "it is empty"},
		"mark before HTML": {"\xef\xbb\xbf<html>", "HTML"},
		"UTF-16, little":   {utf16("\xff\xfe", func(c byte) []byte { return []byte{c, 0} }), "UTF-16"},
		"UTF-16, big":      {utf16("\xfe\xff", func(c byte) []byte { return []byte{0, c} }), "UTF-16"},
	} {
		c := serve(t, answerWith(200, test.body))
		page, err := c.Page(t.Context(), stream, 0, "")
		if test.says != "" {
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s: %v, want %q", name, err, test.says)
			}
			continue
		}
		if err != nil || len(page.Messages) != 2 {
			t.Errorf("%s: %d messages, %v", name, len(page.Messages), err)
			continue
		}
		if again, err := c.Page(t.Context(), stream, 0, page.Fingerprint); err != nil || !again.Unchanged {
			t.Errorf("%s: the same page is not known again: %v", name, err)
		}
	}
	c := serve(t, answerWith(200, "\xef\xbb\xbf"+`{"limits":{"requests_per_minute":80}}`))
	if info, err := c.Info(t.Context()); err != nil || info.RequestsPerMinute != 80 {
		t.Errorf("account: %+v, %v", info, err)
	}
}

func TestPage_Depth(t *testing.T) {
	c := plainClient(t, Privacy{})
	forms := []string{
		`{"uuid":"a","x":%s}`, `{"uuid":"a","message":{"x":%s}}`, `{"uuid":"a","message":{"media":{"x":%s}}}`,
	}
	for levels, fault := range map[int]string{
		4: "", maxDepth: "", maxDepth + 1: faultTooDeep, 5_000: faultTooDeep, 400_000: faultTooDeep,
	} {
		for _, form := range forms {
			inner := levels - strings.Count(form, "{")
			item := fmt.Sprintf(form, strings.Repeat("[", inner)+strings.Repeat("]", inner))
			messages, problem := decode(c, []byte(`{"messages":[`+item+`,{"uuid":"next"}]}`), 0)
			if problem != "" || len(messages) != 2 {
				t.Fatalf("%s, %d levels: problem %q", form, levels, problem)
			}
			if messages[0].Fault != fault || messages[0].UUID != "a" || string(messages[0].Data) != item ||
				messages[1].Fault != "" {
				t.Errorf("%s, %d levels: fault %q, then %q", form, levels, messages[0].Fault, messages[1].Fault)
			}
		}
	}
	for levels, want := range map[int]string{
		maxDepth - 1: "", maxDepth: "it is nested deeper than 100 levels",
		100_000: "it is nested deeper than 100 levels",
	} {
		around := strings.Repeat(`{"a":`, levels) + "1" + strings.Repeat("}", levels)
		for _, body := range []string{`{"x":` + around + `,"messages":[]}`, `{"messages":[{"uuid":"a"}],"x":` + around +
			`}`} {
			if _, problem := decode(c, []byte(body), 0); problem != want {
				t.Errorf("%d levels around the messages: problem %q, want %q", levels, problem, want)
			}
		}
	}
	if text := redactedShape([]byte(nested(400_000, "1"))); len(text) > 100_000 {
		t.Errorf("the shape of a deep document has %d bytes", len(text))
	}
}

// The limits of an item, to the byte.
func TestPage_ItemSize(t *testing.T) {
	c := plainClient(t, Privacy{})
	for size, fault := range map[int]string{MaxItem - 1: "", MaxItem: "", MaxItem + 1: faultTooLarge} {
		const before, after = `{"uuid":"a","text":"`, `"}`
		item := before + strings.Repeat("x", size-len(before)-len(after)) + after
		messages, problem := decode(c, []byte(`{"messages":[`+item+`]}`), 0)
		if problem != "" || messages[0].Fault != fault || len(messages[0].Data) != size {
			t.Errorf("%d bytes: fault %q, problem %q", size, messages[0].Fault, problem)
		}
	}
}

// A proxy's answer is reported as such, with its status, and distinguished from 2Chat's.
func TestClient_Proxy(t *testing.T) {
	say := func(text string) func(net.Conn) { return func(c net.Conn) { _, _ = io.WriteString(c, text) } }
	refuse := func(status string) func(net.Conn) {
		return say("HTTP/1.1 " + status +
			" secret text\r\nProxy-Authenticate: Basic realm=secret text\r\nContent-Length: 0\r\n\r\n")
	}
	for name, test := range map[string]struct {
		serve  func(net.Conn)
		want   connector.PageFault
		status int
		says   string
	}{
		"407":     {refuse("407"), connector.FaultRequest, 407, "it requires a user and password"},
		"403":     {refuse("403"), connector.FaultRequest, 403, "its rules do not allow"},
		"404":     {refuse("404"), connector.FaultRequest, 404, "its rules do not allow"},
		"502":     {refuse("502"), connector.FaultTransient, 502, "does not reach 2Chat"},
		"503":     {refuse("503"), connector.FaultTransient, 503, "does not reach 2Chat"},
		"302":     {refuse("302"), connector.FaultRequest, 302, "it is not a proxy for HTTPS"},
		"garbage": {say("SSH-2.0-secret text\r\n"), connector.FaultTransient, 0, "the answer is not valid HTTP"},
		"nothing": {func(net.Conn) {}, connector.FaultTransient, 0, "the connection ended"},
		"no TLS": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
			_, _ = c.Read(make([]byte, 4096))
			_, _ = io.WriteString(c, "secret text, and no TLS")
		}, connector.FaultTransient, 0, "does not speak TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			c := clientOf(t, "https://api.p.2chat.io")
			through, err := url.Parse(strings.Replace(raw(t, test.serve), "://", "://user:"+apiKey+"@", 1))
			if err != nil {
				t.Fatal(err)
			}
			c.own.Proxy = http.ProxyURL(through)
			_, err = c.Page(t.Context(), stream, 0, "")
			fault := pageError(t, err)
			if (fault.Hint == hintProxy) != (fault.Status > 0) {
				t.Errorf("hint %q", fault.Hint)
			}
			if fault.Fault != test.want || fault.Status != test.status || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, want %s, status %d and %q", err, test.want, test.status, test.says)
			}
			if strings.Count(err.Error(), "the proxy in the environment (HTTPS_PROXY)") != 1 {
				t.Errorf("the proxy is not named: %v", err)
			}
			clean(t, err)
		})
	}
	c := clientOf(t, "https://api.p.2chat.io")
	c.own.Proxy = func(*http.Request) (*url.URL, error) { return usableProxy(url.Parse("socks4://127.0.0.1:1")) }
	_, err := c.Page(t.Context(), stream, 0, "")
	if fault := pageError(t, err); fault.Fault != connector.FaultRequest || !strings.Contains(err.Error(), "HTTPS_PROXY") {
		t.Errorf("a proxy that is not understood: %v", err)
	}
	for address, good := range map[string]bool{
		"http://p:1": true, "https://p:1": true, "socks5://p:1": true, "socks5h://p:1": true, "socks4://p:1": false,
		"proxy.corp:8080": false, "ftp://p": false, "%zz": false,
	} {
		if found, err := usableProxy(url.Parse(address)); (err == nil && found != nil) != good {
			t.Errorf("%s: %v, %v", address, found, err)
		}
	}
	if found, err := usableProxy(nil, nil); found != nil || err != nil {
		t.Errorf("no proxy: %v, %v", found, err)
	}
	if _, err := usableProxy(nil, fmt.Errorf("invalid proxy address %s", apiKey)); !errors.Is(err, errProxyAddress) {
		t.Errorf("a broken address: %v", err)
	}
	for _, status := range []int{407, 511} {
		_, err := serve(t, answerWith(status, "secret text")).Page(t.Context(), stream, 0, "")
		if fault := pageError(t, err); fault.Fault != connector.FaultRequest || fault.Status != status ||
			!strings.Contains(err.Error(), "a proxy on the way") {
			t.Errorf("status %d: %v", status, err)
		}
	}
}

// Bytes after an answer make net/http print them through the standard logger. This package cannot prevent that, which
// is why the program takes that logger over. The page itself is good.
func TestClient_BytesBehindAnAnswer(t *testing.T) {
	var printed bytes.Buffer
	log.SetOutput(&printed)
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	body := `{"messages":[{"uuid":"a"}]}`
	c := clientOf(t, raw(t, func(conn net.Conn) {
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body+"secret text")
	}))
	if page, err := c.Page(t.Context(), stream, 0, ""); err != nil || len(page.Messages) != 1 {
		t.Errorf("%d messages, %v", len(page.Messages), err)
	}
}
