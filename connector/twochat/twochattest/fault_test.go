package twochattest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestFault_Statuses(t *testing.T) {
	fake, server, client := start(t, Options{History: 10})
	for _, code := range append(Codes(), 500) {
		for _, shape := range append(Bodies(), BodyHTML, BodyEmpty) {
			fake.Next(Status(code, shape))
			response, body, err := get(t, client, server.URL+listPath+DefaultNumber)
			if err != nil || response.StatusCode != code {
				t.Fatalf("%d %s: got %v, %v", code, shape, response, err)
			}
			var got map[string]any
			err = json.Unmarshal(body, &got)
			field := map[Body]string{BodyDetail: "detail", BodyError: "error_message", BodyMessage: "message"}[shape]
			if field != "" && (err != nil || got[field] == nil) {
				t.Errorf("%d %s: the body is %q", code, shape, body)
			}
			if field == "" && err == nil {
				t.Errorf("%d %s: the body is JSON: %q", code, shape, body)
			}
		}
	}
	if got := len(read(t, client, server.URL+listPath+DefaultNumber)); got != 10 {
		t.Errorf("afterwards a page has %d messages, want 10", got)
	}
}

func TestFault_RetryAfter(t *testing.T) {
	fake, server, client := start(t, Options{})
	dated := RateLimited(90 * time.Second)
	dated.RetryDate = true
	for _, test := range []struct {
		fault Fault
		want  string
	}{
		{RateLimited(0), ""},
		{RateLimited(1500 * time.Millisecond), "2"},
		{dated, at().Add(90 * time.Second).Format(http.TimeFormat)},
	} {
		fake.Next(test.fault)
		response, _, err := get(t, client, server.URL+listPath+DefaultNumber)
		if err != nil || response.StatusCode != 429 || response.Header.Get("Retry-After") != test.want {
			t.Errorf("got %v, %v, want Retry-After %q", response, err, test.want)
		}
	}
	fake.NextInfo(Status(503, BodyDetail), Fault{Kind: KindHTML})
	for _, want := range []int{503, 200, 200} {
		if response, _, err := get(t, client, server.URL+"/open/info"); err != nil || response.StatusCode != want {
			t.Errorf("info: got %v, %v, want %d", response, err, want)
		}
	}
}

func TestFault_BrokenAnswers(t *testing.T) {
	options := Options{History: 250, OversizedBytes: 1 << 20, RedirectTo: "http://other.invalid/x"}
	t.Run("server", func(t *testing.T) {
		fake, server, client := start(t, options)
		testBrokenAnswers(t, fake, server.URL, client)
	})
	t.Run("transport", func(t *testing.T) {
		fake := New(options)
		client := &http.Client{Transport: fake.Transport(), CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}}
		testBrokenAnswers(t, fake, "http://fake.invalid", client)
	})
}

func testBrokenAnswers(t *testing.T, fake *Fake, url string, client *http.Client) {
	good := read(t, client, url+listPath+DefaultNumber+"?page_number=1")
	first := read(t, client, url+listPath+DefaultNumber)
	decode := func(body []byte) (p page, err error) {
		d := json.NewDecoder(bytes.NewReader(body))
		if err := d.Decode(&p); err != nil {
			return p, err
		}
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return p, errors.New("more than one document")
		}
		return p, nil
	}
	same := func(got, want []json.RawMessage) bool { return fmt.Sprintf("%s", got) == fmt.Sprintf("%s", want) }
	for kind, check := range map[Kind]func(r *http.Response, p page, err, decoded error) bool{
		KindSuccessFalse: func(_ *http.Response, p page, _, _ error) bool { return p.Success != nil && !*p.Success },
		KindHTML: func(r *http.Response, _ page, _, decoded error) bool {
			return decoded != nil && strings.HasPrefix(r.Header.Get("Content-Type"), "text/html")
		},
		KindTruncated: func(_ *http.Response, _ page, err, _ error) bool { return errors.Is(err, io.ErrUnexpectedEOF) },
		KindLuckyCut: func(r *http.Response, p page, err, decoded error) bool {
			return err == nil && decoded == nil && *p.Success && *p.Number == 1 && p.Messages == nil && r.ContentLength == -1 &&
				r.Close
		},
		KindTrailingGarbage: func(_ *http.Response, p page, _, decoded error) bool {
			return decoded != nil && same(p.Messages, good)
		},
		KindOversized: func(_ *http.Response, p page, _, decoded error) bool {
			return decoded == nil && same(p.Messages, good)
		},
		KindWrongEcho: func(_ *http.Response, p page, _, _ error) bool { return *p.Number == 2 && same(p.Messages, good) },
		KindNoEcho: func(_ *http.Response, p page, _, _ error) bool {
			return p.Number == nil && same(p.Messages, good)
		},
		KindNoSuccess: func(_ *http.Response, p page, _, _ error) bool {
			return p.Success == nil && same(p.Messages, good)
		},
		KindNullMessages: func(_ *http.Response, p page, _, _ error) bool { return *p.Success && p.Messages == nil },
		KindRepeat: func(_ *http.Response, p page, _, _ error) bool {
			return *p.Number == 1 && same(p.Messages, first)
		},
		KindEmptyPage: func(_ *http.Response, p page, _, _ error) bool { return p.Messages != nil && len(p.Messages) == 0 },
		KindShortPage: func(_ *http.Response, p page, _, _ error) bool { return same(p.Messages, good[:50]) },
		KindSlow:      func(_ *http.Response, p page, _, _ error) bool { return same(p.Messages, good) },
		KindStall:     func(_ *http.Response, p page, _, _ error) bool { return same(p.Messages, good) },
		KindReset:     func(r *http.Response, _ page, err, _ error) bool { return r == nil && err != nil },
		KindRedirect: func(r *http.Response, _ page, _, _ error) bool {
			return r.StatusCode == 302 && r.Header.Get("Location") == "http://other.invalid/x"
		},
		KindMissing: func(r *http.Response, _ page, _, _ error) bool { return r.StatusCode == 404 },
	} {
		t.Run(string(kind), func(t *testing.T) {
			fake.Next(Fault{Kind: kind, Delay: 20 * time.Millisecond})
			begun := time.Now()
			response, body, err := get(t, client, url+listPath+DefaultNumber+"?page_number=1")
			p, decoded := decode(body)
			if !check(response, p, err, decoded) {
				t.Errorf("got %v, %v; %v; %.120q", response, err, decoded, body)
			}
			if took := time.Since(begun); (kind == KindSlow || kind == KindStall) && took < 20*time.Millisecond {
				t.Errorf("it took only %v", took)
			}
			if kind == KindOversized && len(body) != 1<<20 {
				t.Errorf("it has %d bytes, want 1 MiB", len(body))
			}
			if got := read(t, client, url+listPath+DefaultNumber+"?page_number=1"); !same(got, good) {
				t.Error("the next answer is not good")
			}
			if fake.Faults()[string(kind)] != 1 {
				t.Errorf("counted %v", fake.Faults())
			}
		})
	}
}

// TestServer_CloseEndsSlowAnswers checks that Close ends answers for which it would otherwise wait an hour.
func TestServer_CloseEndsSlowAnswers(t *testing.T) {
	fake := New(Options{History: 10})
	server, err := fake.Start()
	if err != nil {
		t.Fatal(err)
	}
	fake.Next(Fault{Kind: KindSlow, Delay: time.Hour})
	client := &http.Client{Transport: &http.Transport{}}
	answered := make(chan error, 1)
	go func() {
		_, _, err := get(t, client, server.URL+listPath+DefaultNumber)
		answered <- err
	}()
	for tick := time.NewTicker(time.Millisecond); fake.PageRequests("") == 0; <-tick.C {
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if err := <-answered; err == nil {
		t.Error("the slow answer arrived")
	}
	if err := server.Close(); err != nil {
		t.Errorf("a second Close: %v", err)
	}
}
