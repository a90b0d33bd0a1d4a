package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/connector/poller"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// fakeAccounts are accounts behind one base URL. Each key sees the numbers of its own account only.
type fakeAccounts struct {
	fakes map[string]*twochattest.Fake // by key
	hangs string                       // key of an account that never answers
	asked atomic.Int32                 // calls to that account
}

func (f *fakeAccounts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("X-User-API-Key")
	fake, known := f.fakes[key]
	switch {
	case key == f.hangs:
		f.asked.Add(1)
		<-r.Context().Done()
	case !known:
		http.Error(w, `{"detail":"unknown key"}`, http.StatusForbidden)
	default:
		fake.ServeHTTP(w, r)
	}
}

func accountNumber(i int) string { return fmt.Sprintf("+5959810%05d", i) }

// startAccounts serves count accounts, named a0, a1, …, and returns their configuration. revoked, spent and hangs are
// the indexes of accounts with that fault.
func startAccounts(t *testing.T, count, revoked, spent, hangs int, sink string) (api *fakeAccounts, path string) {
	t.Helper()
	api = &fakeAccounts{fakes: map[string]*twochattest.Fake{}}
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	dir := t.TempDir()
	var text strings.Builder
	text.WriteString("accounts:\n")
	for i := range count {
		key, file := fmt.Sprintf("%s-%d", testKey, i), filepath.Join(dir, fmt.Sprintf("key-%d", i))
		if err := os.WriteFile(file, []byte(key+"\n"), 0o400); err != nil {
			t.Fatal(err)
		}
		credits := 0
		if i == spent {
			credits = 2
		}
		if i == hangs {
			api.hangs = key
		}
		if i != revoked {
			api.fakes[key] = twochattest.New(twochattest.Options{
				Key: key, Numbers: []string{accountNumber(i)}, History: 230, RequestsPerMinute: 600_000, Credits: credits,
			})
		}
		fmt.Fprintf(&text, "  - { name: a%d, base_url: %s, api_key_file: %s, streams: [{ number: %q, name: s%[1]d }] }\n",
			i, server.URL, file, accountNumber(i))
	}
	fmt.Fprintf(&text, "start: beginning\npoll: { min_interval: 1s, max_interval: 1s, monthly_credits: 1000000000, timeout: 2s }\nadmin: { listen: '127.0.0.1:0' }\nsink:\n  %s\n", sink)
	path = filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return api, path
}

// Of twenty accounts, one is revoked, one is spent and one never answers. The others deliver everything that they
// list, and go on.
func TestRun_AccountsDoNotTouchEachOther(t *testing.T) {
	t.Parallel()
	const count, revoked, spent, hangs = 20, 3, 7, 11
	events := filepath.Join(t.TempDir(), "events.jsonl")
	api, path := startAccounts(t, count, revoked, spent, hangs, "file: { path: "+events+" }")
	r := start(t, "run", "--config", path)
	admin := r.admin()
	report := func() (r pipeline.Report) {
		_, body := get(t, admin+"/status")
		if err := json.Unmarshal([]byte(body), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	faulty := []int{revoked, spent, hangs}
	delivered := func(want uint64) bool {
		for i, s := range report().Streams {
			if !slices.Contains(faulty, i) && (s.Sequence < want || s.State != poller.StateLive) {
				return false
			}
		}
		return true
	}
	until(t, "the history of all that can be read", func() bool { return delivered(230) })
	for i := range count {
		if !slices.Contains(faulty, i) {
			api.fakes[fmt.Sprintf("%s-%d", testKey, i)].Insert("", 3)
		}
	}
	until(t, "what comes in afterwards", func() bool { return delivered(233) })
	until(t, "the account that hangs", func() bool {
		return api.asked.Load() > 1 && report().Streams[hangs].State == poller.StateNoSource
	})

	got := report()
	for i, s := range got.Streams {
		name := fmt.Sprintf("a%d", i)
		if s.Stream != fmt.Sprintf("s%d", i) || s.Account != name || got.Accounts[i].Name != name {
			t.Errorf("stream %d is %s of %s; account %s", i, s.Stream, s.Account, got.Accounts[i].Name)
		}
		if ready := s.Trouble == ""; ready == slices.Contains(faulty, i) {
			t.Errorf("%s: trouble %q", s.Stream, s.Trouble)
		}
	}
	clitest.WantText(t, "revoked", got.Streams[revoked].Trouble, "wrong key")
	clitest.WantText(t, "spent", got.Streams[spent].Trouble, "no credits")
	clitest.WantText(t, "hangs", got.Streams[hangs].Trouble, "no answer from 2Chat")

	_, metrics := get(t, admin+"/metrics")
	for i := range count {
		if !strings.Contains(metrics, fmt.Sprintf("twochat_connector_unknown_members_total{account=\"a%d\"}", i)) {
			t.Errorf("account a%d has no metrics", i)
		}
	}
	if found := regexp.MustCompile(`(?m)^twochat_connector_log_sequence\{.*account`).FindString(metrics); found != "" {
		t.Errorf("a stream's metrics tell its account, which its name tells: %s", found)
	}
	if code := r.end(); code != 0 {
		t.Errorf("it ended with %d", code)
	}
}

// Commands take an account's key, limit and base URL from the stream, and judge each account by itself.
func TestCommands_OfAccounts(t *testing.T) {
	t.Parallel()
	events := filepath.Join(t.TempDir(), "events.jsonl")
	api, path := startAccounts(t, 3, 1, -1, -1, "file: { path: "+events+" }")
	code, out, errOut := finish(t, "check", "--config", path)
	for _, want := range []string{
		"accounts: 3, streams: 3", "ok       account a0: API key: accepted; ", "ok       stream s0: ",
		"refused  account a1: API key: ", "TWOCHAT_API_KEY_A1", "accounts[1].api_key_file",
		"ok       stream s2: ", "Each stream of account a2 is read every 1s",
	} {
		clitest.WantText(t, "check", out, want)
	}
	if code != 3 {
		t.Errorf("check ended with %d: %s", code, errOut)
	}
	code, out, errOut = finish(t, "preview", "--config", path, "--stream", "s2")
	if code != 0 || !strings.Contains(out, "stream s2") {
		t.Errorf("preview ended with %d: %s%s", code, out, errOut)
	}
	_, out, _ = finish(t, "explain", "--config", path)
	clitest.WantText(t, "explain", out, "account a1: stream s1")
	clitest.WantText(t, "explain", out, "Each stream of account a2 is read every 6s")

	r := start(t, "run", "--config", path)
	until(t, "the history", func() bool {
		_, body := get(t, r.admin()+"/status")
		return strings.Count(body, `"sequence": 230`) == 2
	})
	code, out, _ = finish(t, "status", "--admin", r.admin())
	clitest.WantText(t, "status", unfolded(out), "account a0: 600000 requests a minute")
	if code != 3 {
		t.Errorf("status ended with %d", code)
	}
	r.end()

	before := api.fakes[testKey+"-2"].Requests()
	code, out, errOut = finish(t, "audit", "--config", path, "--all", "--account", "a0")
	if code != 0 || !strings.Contains(out, "s0") || strings.Contains(out, "s2") {
		t.Errorf("audit of one account ended with %d: %s%s", code, out, errOut)
	}
	if after := api.fakes[testKey+"-2"].Requests(); after != before {
		t.Errorf("another account paid %d calls", after-before)
	}
	code, out, errOut = finish(t, "backfill", "--config", path, "--stream", "s2", "--all", "--dry-run")
	if code != 0 || !strings.Contains(out, "stream s2 left nothing out") {
		t.Errorf("backfill ended with %d: %s%s", code, out, errOut)
	}
	// The chats of each account have tokens of their own.
	number := strings.TrimPrefix(api.fakes[testKey+"-2"].Truth("")[0].Remote, "+")
	code, out, errOut = finish(t, "erase", "--config", path, "--chat", number, "--dry-run")
	if code != 0 || !strings.Contains(out, "Stream s0: ") || !strings.Contains(out, "Stream s2: ") {
		t.Errorf("erase ended with %d: %s%s", code, out, errOut)
	}
	code, _, errOut = finish(t, "audit", "--config", path, "--all", "--account", "a9")
	clitest.WantText(t, "audit of nobody", errOut, "flag --account: expected the name of a configured account: a0, a1, a2")
	if code != 2 {
		t.Errorf("audit of nobody ended with %d", code)
	}
}
