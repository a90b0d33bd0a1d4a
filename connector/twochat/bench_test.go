package twochat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
)

// benchmarkPage is a page of 100 items of the documented form, from 30 chats, about 60 KB.
func benchmarkPage() []byte {
	random := rand.New(rand.NewPCG(5, 6))
	var body bytes.Buffer
	body.WriteString(`{"success":true,"page_number":0,"messages":[`)
	for i := range 100 {
		if i > 0 {
			body.WriteByte(',')
		}
		chat := random.IntN(30)
		fmt.Fprintf(&body, `{"id":"MSG%08x-0d8d-4aa5-b117-f9425b65%04x","uuid":"MSG%08x-0d8d-4aa5-b117-f9425b65%04x","created_at":"2026-02-18T18:01:%02d",`, i, i, i, i, i%60)
		fmt.Fprintf(&body, `"session_key":"WW-WPN95841312-b54d-46e3-b0bc-6414f4a5296b-52155123%05d@c.us","message":{"text":"Hello \ud83d\ude00, is the order \"%d\" on its way? Ünïcode and then some more text of a usual length."},`, chat, i)
		fmt.Fprintf(&body, `"remote_phone_number":"+52155123%05d","channel_phone_number":"+595981048477","sent_by":"user","contact":{"first_name":"Johny","last_name":"Doe","profile_pic_url":"https://2chat-user-data.s3.amazonaws.com/example-profile-pic.jpeg"}}`, chat)
	}
	body.WriteString(`]}`)
	return body.Bytes()
}

// memory answers every request with the same page, without a network.
type memory struct{ body []byte }

func (m memory) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{}, ContentLength: int64(len(m.body)),
		Body: io.NopCloser(bytes.NewReader(m.body)),
	}, nil
}

// BenchmarkPage is everything that the client does for a page except for the network: for a new page, and for one that
// is held already.
func BenchmarkPage(b *testing.B) {
	body := benchmarkPage()
	c, err := New(Config{BaseURL: "https://api.p.2chat.io", Key: func() (string, error) {
		return "UAK", nil
	}, Transport: memory{body}})
	if err != nil {
		b.Fatal(err)
	}
	page, err := c.Page(b.Context(), stream, 0, "")
	if err != nil {
		b.Fatal(err)
	}
	for name, held := range map[string]connector.Fingerprint{"new": "", "unchanged": page.Fingerprint} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				page, err := c.Page(b.Context(), stream, 0, held)
				if err != nil || page.Unchanged != (held != "") {
					b.Fatal(page.Unchanged, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/message")
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
		})
	}
	b.Run("rows", func(b *testing.B) {
		c.rows = true
		for b.Loop() {
			if _, err := c.Page(b.Context(), stream, 0, ""); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/message")
		b.ReportAllocs()
		b.SetBytes(int64(len(body)))
	})
}

// BenchmarkDecode is a page's way from its body to messages, with its baselines: encoding/json only checking whether
// the page is valid, and the straightforward way to decode it.
func BenchmarkDecode(b *testing.B) {
	body := benchmarkPage()
	perMessage := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/message")
		b.ReportAllocs()
		b.SetBytes(int64(len(body)))
	}
	for _, privacy := range []Privacy{
		{},
		{Identifiers: IdentifiersClear},
		{Identifiers: IdentifiersPseudonymous, Secret: secret},
		{Drop: []string{DropText}},
	} {
		name := privacy.Name()
		if len(privacy.Drop) > 0 {
			name += "-drop"
		}
		b.Run("page/"+name, func(b *testing.B) {
			c := plainClient(b, privacy)
			work := new(scratch)
			for b.Loop() {
				found, problem := scanPage(body, 0, work.items[:0])
				work.items = found.items
				if messages := c.messages(stream, body, work); problem != "" || len(messages) != 100 {
					b.Fatal(problem)
				}
			}
			perMessage(b)
		})
	}
	b.Run("scan", func(b *testing.B) {
		for b.Loop() {
			if !valid(body) {
				b.Fatal("not valid")
			}
		}
		perMessage(b)
	})
	b.Run("fingerprint", func(b *testing.B) {
		for b.Loop() {
			fingerprint(body)
		}
		perMessage(b)
	})
	b.Run("json.Valid", func(b *testing.B) {
		for b.Loop() {
			if !json.Valid(body) {
				b.Fatal("not valid")
			}
		}
		perMessage(b)
	})
	b.Run("json.Unmarshal", func(b *testing.B) {
		c := plainClient(b, Privacy{})
		for b.Loop() {
			if messages, ok := decodeSlowly(c, body, 0); !ok || len(messages) != 100 {
				b.Fatal("not valid")
			}
		}
		perMessage(b)
	})
}

// BenchmarkGuess is the cost of testing whether a hashed token is that of a number: the token and the list's source key
// are enough for it.
func BenchmarkGuess(b *testing.B) {
	r, err := newRedactor(Privacy{})
	if err != nil {
		b.Fatal(err)
	}
	key := connector.SourceKey("https://api.p.2chat.io", "+595981048477", "")
	chat := []byte("WW-WPN95841312-b54d-46e3-b0bc-6414f4a5296b-5215512345432@c.us")
	for b.Loop() {
		for i := len(chat) - 6; ; i-- {
			if chat[i]++; chat[i] <= '9' {
				break
			}
			chat[i] = '0'
		}
		r.chat(key, chat)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "million-guesses/s")
}
