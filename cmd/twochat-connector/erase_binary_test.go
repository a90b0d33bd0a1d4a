//go:build linux

package main_test

import (
	"encoding/json"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// eraseKilled kills the erasure of a chat with kill -9 again and again. Each time more of the chat is gone for good,
// in the end all of it. A run that reads the list again brings none of it back.
func eraseKilled(t *testing.T, binary string, p *natsPlace) {
	const seed, messages = 29, 1500
	r := newRig(t, binary, p, settings{streams: 1, start: "beginning"}, twochattest.Options{Seed: seed, History: messages})
	name := r.streams[0]
	r.start(t, 0)
	if !eventually(t.Context(), 60*time.Second, func() bool { return len(p.read(t)[name]) == messages }) {
		t.Fatal("the history does not come")
	}
	r.terminate(t, 0)
	counts, chat := map[string]int{}, ""
	for _, m := range r.fake.Truth("") {
		if counts[m.Chat]++; strings.HasSuffix(m.Chat, "@c.us") && counts[m.Chat] > counts[chat] {
			chat = m.Chat
		}
	}
	left := messages - counts[chat]

	rng := rand.New(rand.NewPCG(seed, 1))
	log := filepath.Join(t.TempDir(), "erase.log")
	begin := func() *process {
		return launch(t, log, []string{"TWOCHAT_API_KEY=test"}, binary, "erase", "--config", r.config, "--chat", chat,
			"--yes", "--json")
	}
	kills, torn := 0, 0
	for range 40 {
		before := len(p.read(t)[name])
		erase := begin()
		goal := stored(t, p) - rng.IntN(40)
		eventually(t.Context(), 30*time.Second, func() bool { return !erase.running() || stored(t, p) < goal })
		if erase.running() {
			kills++
		}
		erase.kill()
		if code, _ := erase.exit(time.Second); code != 0 && code != 128+int(syscall.SIGKILL) {
			t.Fatalf("an erasure ended by itself with %d:\n%s", code, tail(log, 20))
		}
		after := len(p.read(t)[name])
		if after < before && after > left {
			torn++
		}
		if after == left {
			break
		}
	}
	erase := begin()
	if code, ok := erase.exit(time.Minute); !ok || code != 0 {
		t.Fatalf("the last erasure ended with %d, %v:\n%s", code, ok, tail(log, 20))
	}
	audit := func() {
		t.Helper()
		a := launch(t, log, []string{"TWOCHAT_API_KEY=test"}, binary, "audit", "--config", r.config, "--all", "--repair")
		if code, ok := a.exit(time.Minute); !ok || code != 0 {
			t.Errorf("an audit ended with %d, %v:\n%s", code, ok, tail(log, 20))
		}
	}
	audit()
	r.fake.Insert("", 120)
	r.start(t, 0)
	if !eventually(t.Context(), 60*time.Second, func() bool { return len(p.read(t)[name]) >= left+120 }) {
		t.Fatal("what is new does not come")
	}
	r.terminate(t, 0)
	audit()
	old := map[string]bool{}
	for _, m := range r.fake.Truth("")[:messages] {
		old[m.UUID] = m.Chat == chat
	}
	for _, raw := range p.read(t)[name] {
		var e struct{ ID string }
		if err := json.Unmarshal(raw, &e); err != nil || old[e.ID] {
			t.Fatalf("%s is there (%v)", e.ID, err)
		}
	}
	if got := len(p.read(t)[name]); got != left+120 {
		t.Errorf("%d events, want %d", got, left+120)
	}
	t.Logf("%d of %d erased, %d kills, %d of them in the middle", counts[chat], messages, kills, torn)
	if kills < 1 || torn < 1 {
		t.Errorf("%d kills, %d in the middle show little", kills, torn)
	}
}
