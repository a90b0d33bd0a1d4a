//go:build linux

package main_test

import (
	"encoding/json"
	"math/rand/v2"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// repairKilled deletes half of a log without the connector, and kills the repair with kill -9 again and again. In the
// end each message is in the log once, and what was not deleted is in its old place.
func repairKilled(t *testing.T, binary string, p *natsPlace) {
	const seed, messages, deleted = 23, 5000, 3500
	r := newRig(t, binary, p, settings{streams: 1, start: "beginning"}, twochattest.Options{Seed: seed, History: messages})
	name := r.streams[0]
	r.start(t, 0)
	if !eventually(t.Context(), 60*time.Second, func() bool { return len(p.read(t)[name]) == messages }) {
		t.Fatal("the history does not come")
	}
	r.terminate(t, 0)
	p.forgetIDs(t)
	deleteEvents(t, p, deleted)
	left := p.read(t)[name]
	if len(left) != messages-deleted {
		t.Fatalf("%d events are left", len(left))
	}

	rng := rand.New(rand.NewPCG(seed, 1))
	log := filepath.Join(t.TempDir(), "audit.log")
	begin := func() *process {
		return launch(t, log, []string{"TWOCHAT_API_KEY=test"}, binary, "audit", "--config", r.config, "--all", "--repair",
			"--json")
	}
	kills, torn := 0, 0
	for range 30 {
		audit, before := begin(), len(p.read(t)[name])
		goal := before + rng.IntN(1200)
		eventually(t.Context(), 30*time.Second, func() bool { return !audit.running() || stored(t, p) > goal })
		if audit.running() {
			kills++
		}
		audit.kill()
		if code, _ := audit.exit(time.Second); code != 0 && code != 128+int(syscall.SIGKILL) {
			t.Fatalf("an audit ended by itself with %d:\n%s", code, tail(log, 20))
		}
		after := len(p.read(t)[name])
		if after > before && after < messages {
			torn++
		}
		if after == messages {
			break
		}
	}
	for range 2 {
		audit := begin()
		if code, ok := audit.exit(time.Minute); !ok || code != 0 {
			t.Fatalf("the last audit ended with %d, %v:\n%s", code, ok, tail(log, 20))
		}
	}
	events := p.read(t)[name]
	seen := map[string]bool{}
	for i, raw := range events {
		var e struct {
			ID   string
			Late bool
		}
		if err := json.Unmarshal(raw, &e); err != nil {
			t.Fatal(err)
		}
		switch {
		case seen[e.ID]:
			t.Errorf("event %d stands in the log a second time", i)
		case i < len(left) && string(raw) != string(left[i]):
			t.Errorf("event %d is not what it was before the repair", i)
		case e.Late != (i >= len(left)):
			t.Errorf("event %d is marked late: %v", i, e.Late)
		}
		seen[e.ID] = true
	}
	if len(events) != messages {
		t.Errorf("%d events for %d messages", len(events), messages)
	}
	t.Logf("%d kills, %d of them between two commits of a repair", kills, torn)
	if kills < 1 || torn < 1 {
		t.Errorf("%d kills, %d between two commits show little", kills, torn)
	}
}

// stored returns the number of messages in the stream.
func stored(t *testing.T, p *natsPlace) int {
	t.Helper()
	stream, closeConn := p.stream(t)
	defer closeConn()
	return int(stream.CachedInfo().State.Msgs)
}

// deleteEvents deletes some of the stream's first events, but not the very first one.
func deleteEvents(t *testing.T, p *natsPlace, count int) {
	t.Helper()
	stream, closeConn := p.stream(t)
	defer closeConn()
	first := stream.CachedInfo().State.FirstSeq
	for place := first + 5; count > 0; place++ {
		m, err := stream.GetMsg(t.Context(), place)
		if err != nil || place%5 == 0 || len(m.Subject) < 9 || m.Subject[:9] != "whatsapp." {
			continue
		}
		if err := stream.DeleteMsg(t.Context(), place); err != nil {
			t.Fatal(err)
		}
		count--
	}
}
