package main

import (
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// If the credits run out, a backfill waits, says so, and can be stopped. With new credits the same command goes on.
func TestBackfill_WaitsForCredits(t *testing.T) {
	t.Parallel()
	fake, api := fakeAPI(t, twochattest.Options{History: 3000})
	path, _ := historyConfig(t, api)
	liveStream(t, path).end()
	// Reading comes last, because its failed calls cost nothing and leave the fake some credits.
	for _, row := range []struct {
		what    string
		credits int
		args    []string
		out     string
	}{
		{"measuring", 3, nil, "continues from there"},
		{"measuring on a dry run", 3, []string{"--dry-run"}, ""},
		{"reading", 25, nil, "continues from there"},
	} {
		t.Run(row.what, func(t *testing.T) {
			fake.SetCredits(fake.Requests() + row.credits)
			r := start(t, append([]string{"backfill", "--config", path, "--all"}, row.args...)...)
			until(t, "it waits for credits", func() bool {
				return strings.Contains(r.err.String(), "waits for credits") || isEnded(r)
			})
			if isEnded(r) {
				t.Fatal("it ended")
			}
			clitest.WantText(t, "log", r.err.String(), "it goes on by itself", "HTTP 402", "top up the account")
			wantCode(t, r.end(), 0)
			clitest.WantText(t, "result", r.out.String(), row.out)
		})
	}
	fake.SetCredits(1 << 30)
	code, out, _ := finish(t, "backfill", "--config", path, "--all", "--json")
	wantCode(t, code, 0)
	if s := result(t, out); !s.Done || s.Messages != 3000 {
		t.Errorf("%+v", s)
	}
}

// A fault that waiting cannot fix ends a backfill at once, with a hint.
func TestBackfill_EndsWhereWaitingMendsNothing(t *testing.T) {
	fake, api := fakeAPI(t, twochattest.Options{History: 3000})
	path, _ := historyConfig(t, api)
	liveStream(t, path).end()
	for name, fault := range map[string]twochattest.Fault{
		"key (HTTP 401)": twochattest.Status(401, ""), "key (HTTP 403)": twochattest.Status(403, ""),
		"number (HTTP 404)": twochattest.Status(404, ""),
	} {
		for _, more := range [][]string{nil, {"--dry-run"}} {
			fake.Next(fault)
			code, _, errOut := finish(t, append([]string{"backfill", "--config", path, "--all"}, more...)...)
			wantCode(t, code, 1)
			clitest.WantText(t, "error", errOut, name, "`twochat-connector check --config "+path+"` shows what is wrong", "continues where it stopped")
		}
	}
}
