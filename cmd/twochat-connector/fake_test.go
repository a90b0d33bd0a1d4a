package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// A connector reads the fake with the very line that the fake prints, and control over HTTP works.
func TestFake(t *testing.T) {
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	t.Chdir(t.TempDir())
	fake := start(t, "fake", "--listen", "127.0.0.1:0", "--numbers", "7", "--history", "20",
		"--rate", "50", "--seed", "4", "--drift", "--faults", "0.1")
	var base string
	until(t, "the address", func() bool {
		found := regexp.MustCompile(`BASE_URL=(http://\S+) `).FindStringSubmatch(fake.out.String())
		if found != nil {
			base = found[1]
		}
		return found != nil
	})
	clitest.WantText(t, "fake", fake.out.String(), "a fake 2Chat at "+base, "+15555550100", "… (7)")
	env := []string{
		"TWOCHAT_API_KEY=any", "TWOCHAT_CONNECTOR_TWOCHAT_BASE_URL=" + base, "TWOCHAT_CONNECTOR_ADMIN_LISTEN=127.0.0.1:0",
		"TWOCHAT_CONNECTOR_POLL_MIN_INTERVAL=1s",
	}
	r := startWith(t, env, "run", "--number", "+15555550100", "--sink", "file:events.jsonl", "--start", "beginning")
	response, err := http.Post(base+"/fake/append?count=5", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	var made struct{ UUIDs []string }
	if err := json.NewDecoder(response.Body).Decode(&made); err != nil || len(made.UUIDs) != 5 {
		t.Fatalf("%v: %d, %v", made.UUIDs, response.StatusCode, err)
	}
	response.Body.Close()
	until(t, "what was appended", func() bool {
		content, err := os.ReadFile("events.jsonl")
		return err == nil && bytes.Contains(content, []byte(made.UUIDs[4])) && bytes.Count(content, []byte("\n")) > 25
	})
	_, truth := get(t, base+"/fake/truth")
	if strings.Count(truth, "\n") < 26 {
		t.Errorf("the truth has %d lines", strings.Count(truth, "\n"))
	}
	wantCode(t, r.end(), cli.ExitFine)
	wantCode(t, fake.end(), cli.ExitFine)
}

func TestFake_Refuses(t *testing.T) {
	t.Chdir(t.TempDir())
	taken, err := twochattest.New(twochattest.Options{}).Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	for want, args := range map[string][]string{
		"expected an address on loopback": {"--listen", "0.0.0.0:0"},
		"--numbers: expected 1 to 1000":   {"--numbers", "0"},
		"--rate: expected 0 to":           {"--rate", "NaN"}, "--faults: expected 0 to 1": {"--faults", "2"},
		"--history: expected": {"--history", "-1"},
		"cannot be used":      {"--listen", filepath.Base(taken.URL)},
	} {
		code, _, errOut := finish(t, append([]string{"fake"}, args...)...)
		if code == cli.ExitFine {
			t.Errorf("%v is accepted", args)
		}
		clitest.WantText(t, strings.Join(args, " "), errOut, want)
	}
}

// The messages of --rate stop while the fake is quiet, and start again afterwards.
func TestFake_QuietStopsTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := twochattest.New(twochattest.Options{Seed: 4})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go arrive(ctx, fake, []string{twochattest.DefaultNumber}, 10)
		for _, step := range []struct {
			then func()
			want int
		}{{func() {}, 10}, {fake.Quiet, 10}, {fake.Resume, 20}} {
			step.then()
			time.Sleep(time.Second + 50*time.Millisecond)
			synctest.Wait()
			if got := len(fake.Truth("")); got < step.want || got > step.want+1 {
				t.Errorf("%d messages came, want %d", got, step.want)
			}
		}
	})
}
