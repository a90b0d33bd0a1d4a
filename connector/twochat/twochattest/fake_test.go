package twochattest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

const listPath = "/open/whatsapp/messages/"

// wholeList reads a list to its end, newest first.
func wholeList(t *testing.T, client *http.Client, url string) (items []string) {
	t.Helper()
	for number := 0; ; number++ {
		messages := read(t, client, fmt.Sprintf("%s?page_number=%d", url, number))
		if len(messages) == 0 {
			return items
		}
		for _, m := range messages {
			items = append(items, string(m))
		}
	}
}

func TestFake_ListsNewestFirst(t *testing.T) {
	fake, server, client := start(t, Options{History: 250})
	uuids := fake.Insert("", 3)
	messages := read(t, client, server.URL+listPath+DefaultNumber)
	if len(messages) != 100 {
		t.Fatalf("page 0 has %d messages, want 100", len(messages))
	}
	for i, uuid := range uuids {
		if !strings.Contains(string(messages[2-i]), uuid) {
			t.Errorf("place %d is not %s: %s", 2-i, uuid, messages[2-i])
		}
	}
	if got := len(read(t, client, server.URL+listPath+"%2B15550100100?page_number=2")); got != 53 {
		t.Errorf("the last page has %d messages, want 53", got)
	}
	if got := len(read(t, client, server.URL+listPath+DefaultNumber+"?page_number=3")); got != 0 {
		t.Errorf("past the end are %d messages, want none", got)
	}
	if fake.Requests() != 3 || fake.PageRequests("") != 3 {
		t.Errorf("counted %d and %d requests, want 3", fake.Requests(), fake.PageRequests(""))
	}
}

func TestFake_FilterShowsOneRemote(t *testing.T) {
	fake, server, client := start(t, Options{History: 3000, Seed: 4})
	kinds := map[string]int{}
	for _, m := range fake.Truth("") {
		kinds[m.Remote]++
	}
	if len(kinds) != 12 {
		t.Fatalf("there are %d chats, want 12", len(kinds))
	}
	for remote, want := range kinds {
		items := wholeList(t, client, server.URL+listPath+DefaultNumber+"/"+remote)
		if len(items) != want {
			t.Errorf("the list of one remote has %d messages, want %d", len(items), want)
		}
	}
	if got := wholeList(t, client, server.URL+listPath+DefaultNumber+"/+15559999999"); len(got) != 0 {
		t.Errorf("a stranger has %d messages", len(got))
	}
}

func TestFake_RefusesRequests(t *testing.T) {
	_, server, client := start(t, Options{Key: "good"})
	for _, test := range []struct {
		path, key string
		want      int
	}{
		{listPath + DefaultNumber, "good", 200},
		{listPath + DefaultNumber, "", 403},
		{listPath + DefaultNumber, "bad", 401},
		{"/open/info", "bad", 401},
		{listPath + "+15550100999", "good", 404},
		{listPath + "15550100100", "good", 422},
		{listPath + "+1555abc0100", "good", 422},
		{listPath + DefaultNumber + "?page_number=-1", "good", 422},
		{listPath + DefaultNumber + "?page_number=x", "good", 422},
		{listPath + DefaultNumber + "?page_number=9223372036854775807", "good", 200},
		{listPath + DefaultNumber + "?page_size=5&page=3", "good", 200},
		{"/open/other", "good", 404},
	} {
		response, _, err := get(t, client, server.URL+test.path, "X-User-API-Key", test.key)
		if err != nil || response.StatusCode != test.want {
			t.Errorf("%s with key %q: got %v, %v, want %d", test.path, test.key, response.StatusCode, err, test.want)
		}
	}
}

func TestFake_CountsCredits(t *testing.T) {
	fake, server, client := start(t, Options{Credits: 10, RequestsPerMinute: 33, History: 5})
	usage := func() (used, most, rate int) {
		_, body, err := get(t, client, server.URL+"/open/info")
		if err != nil {
			t.Fatal(err)
		}
		var info struct {
			Limits struct {
				RequestsPerMinute int `json:"requests_per_minute"`
			}
			Usage struct {
				Used int `json:"api_request_count"`
				Max  int `json:"max_api_request_count"`
			}
		}
		if err := json.Unmarshal(body, &info); err != nil {
			t.Fatal(err)
		}
		return info.Usage.Used, info.Usage.Max, info.Limits.RequestsPerMinute
	}
	read(t, client, server.URL+listPath+DefaultNumber)
	if used, most, rate := usage(); used != 2 || most != 10 || rate != 33 {
		t.Errorf("usage says %d of %d at %d a minute, want 2 of 10 at 33", used, most, rate)
	}
	fake.Consume(8)
	if response, _, err := get(t, client, server.URL+listPath+DefaultNumber); err != nil ||
		response.StatusCode != http.StatusPaymentRequired {
		t.Errorf("without credits: got %v, %v, want 402", response, err)
	}
	fake.SetCredits(1000)
	read(t, client, server.URL+listPath+DefaultNumber)
	fake.SetKey("rotated")
	if response, _, err := get(t, client, server.URL+"/open/info"); err != nil ||
		response.StatusCode != http.StatusUnauthorized {
		t.Errorf("after a rotation: got %v, %v, want 401", response, err)
	}
}

func TestFake_EnforcesTheRate(t *testing.T) {
	now := at()
	_, server, client := start(t, Options{RequestsPerMinute: 2, EnforceRate: true, Now: func() time.Time { return now }})
	for i, want := range []int{200, 200, 429} {
		if response, _, err := get(t, client, server.URL+listPath+DefaultNumber); err != nil || response.StatusCode != want {
			t.Errorf("request %d: got %v, %v, want %d", i, response, err, want)
		}
	}
	now = now.Add(time.Minute)
	read(t, client, server.URL+listPath+DefaultNumber)
}

func TestFake_Switches(t *testing.T) {
	t.Run("gzip", func(t *testing.T) {
		_, server, client := start(t, Options{History: 10, Gzip: true})
		response, _, err := get(t, client, server.URL+listPath+DefaultNumber, "Accept-Encoding", "gzip")
		if err != nil || response.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("got %v, %v", response, err)
		}
		if got := len(read(t, client, server.URL+listPath+DefaultNumber)); got != 10 {
			t.Errorf("read %d messages, want 10", got)
		}
	})
	t.Run("validators", func(t *testing.T) {
		fake, server, client := start(t, Options{History: 10, Validators: true})
		response, _, _ := get(t, client, server.URL+listPath+DefaultNumber)
		tag := response.Header.Get("ETag")
		again, body, err := get(t, client, server.URL+listPath+DefaultNumber, "If-None-Match", tag)
		if err != nil || tag == "" || again.StatusCode != http.StatusNotModified || len(body) != 0 {
			t.Errorf("got %v, %v with tag %q", again, err, tag)
		}
		fake.Insert("", 1)
		if again, _, err := get(t, client, server.URL+listPath+DefaultNumber, "If-None-Match", tag); err != nil ||
			again.StatusCode != http.StatusOK {
			t.Errorf("a changed page: got %v, %v, want 200", again, err)
		}
	})
	t.Run("not found past the end", func(t *testing.T) {
		_, server, client := start(t, Options{History: 10, NotFoundPastEnd: true})
		if response, _, err := get(t, client, server.URL+listPath+DefaultNumber+"?page_number=1"); err != nil ||
			response.StatusCode != 404 {
			t.Errorf("got %v, %v, want 404", response, err)
		}
	})
	t.Run("ignored page number", func(t *testing.T) {
		_, server, client := start(t, Options{History: 250, IgnorePageNumber: true})
		first, second := read(t, client, server.URL+listPath+DefaultNumber),
			read(t, client, server.URL+listPath+DefaultNumber+"?page_number=1")
		if fmt.Sprintf("%s", first) != fmt.Sprintf("%s", second) {
			t.Error("page 1 is not page 0")
		}
	})
}

func TestFake_HistoryIsCheap(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	fake := New(Options{History: 200_000})
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 12<<20 {
		t.Errorf("200,000 messages take %d bytes", grown)
	}
	if got := fake.Insert("", 1); len(got) != 1 {
		t.Error("no message came on top")
	}
}

func BenchmarkFake_Page(b *testing.B) {
	fake := New(Options{History: 10_000})
	for b.Loop() {
		v, _ := fake.view(DefaultNumber, "", 50, at())
		b.SetBytes(int64(len(v.body())))
	}
}
