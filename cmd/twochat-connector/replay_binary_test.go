//go:build linux

package main_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// replayKilled puts items that can now become events into a quarantine, and kills their replay with kill -9 again and
// again. In the end each item is in the log once, and the earlier events are in their old places.
func replayKilled(t *testing.T, binary string, p *natsPlace) {
	const seed, messages, aside = 29, 200, 6000
	r := newRig(t, binary, p, settings{streams: 1, start: "beginning"}, twochattest.Options{Seed: seed, History: messages})
	name := r.streams[0]
	r.start(t, 0)
	if !eventually(t.Context(), 60*time.Second, func() bool { return len(p.read(t)[name]) == messages }) {
		t.Fatal("the history does not come")
	}
	r.terminate(t, 0)
	jetstream := *sinks.Defaults().JetStream
	jetstream.URL = p.url()
	quarantineMany(t, sinks.Config{JetStream: &jetstream}, connector.Stream{
		Name: name, Number: r.numbers[0], SourceKey: connector.SourceKey(r.url, r.numbers[0], ""),
	}, aside)

	rng := rand.New(rand.NewPCG(seed, 1))
	log := filepath.Join(t.TempDir(), "replay.log")
	begin := func() *process {
		return launch(t, log, []string{"TWOCHAT_API_KEY=test"}, binary, "quarantine", "replay", "--config", r.config)
	}
	kills, torn := 0, 0
	for range 30 {
		replay, before := begin(), len(p.read(t)[name])
		goal := stored(t, p) + rng.IntN(1500)
		eventually(t.Context(), 30*time.Second, func() bool { return !replay.running() || stored(t, p) > goal })
		if replay.running() {
			kills++
		}
		replay.kill()
		if code, _ := replay.exit(time.Second); code != 0 && code != 128+int(syscall.SIGKILL) {
			t.Fatalf("a replay ended by itself with %d:\n%s", code, tail(log, 20))
		}
		after := len(p.read(t)[name])
		if after > before && after < messages+aside {
			torn++
		}
		if after == messages+aside {
			break
		}
	}
	for range 2 {
		replay := begin()
		if code, ok := replay.exit(time.Minute); !ok || code != 0 {
			t.Fatalf("the last replay ended with %d, %v:\n%s", code, ok, tail(log, 20))
		}
	}
	seen := map[string]bool{}
	events := p.read(t)[name]
	for i, raw := range events {
		var e struct {
			ID, Sequence string
			Late         bool
		}
		if err := json.Unmarshal(raw, &e); err != nil {
			t.Fatal(err)
		}
		if seen[e.ID] || e.Late != (i >= messages) || e.Sequence != connector.FormatSequence(uint64(i+1)) {
			t.Errorf("event %d is %s, late %v, seen before %v", i, e.Sequence, e.Late, seen[e.ID])
		}
		seen[e.ID] = true
	}
	if len(events) != messages+aside {
		t.Errorf("%d events, want %d", len(events), messages+aside)
	}
	t.Logf("%d kills, %d of them between two commits of a replay", kills, torn)
	if kills < 1 || torn < 1 {
		t.Errorf("%d kills, %d between two commits show little", kills, torn)
	}
}

// quarantineMany puts that many items into a stream's quarantine.
func quarantineMany(t *testing.T, c sinks.Config, stream connector.Stream, count int) {
	t.Helper()
	const prefix = "co.2chat.whatsapp"
	sink, err := sinks.Open(c, connector.Encoding{TypePrefix: prefix}, cli.QuietLogger())
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	log := sink.Log(connector.Claim{
		Stream: stream, Privacy: "hashed", Instance: "earlier", TypePrefix: prefix, Window: 1000,
	})
	defer log.Close()
	state, err := log.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	next := state.Checkpoint
	for count > 0 {
		var rejects []connector.Reject
		for ; count > 0 && len(rejects) < 500; count-- {
			uuid := fmt.Sprintf("MSG%08x-0000-4000-8000-000000000000", count)
			m := connector.Message{Key: connector.MessageKey(uuid), Data: fmt.Appendf(nil,
				`{"uuid":%q,"session_key":"s","message":{"text":"aside"},"sent_by":"user","timestamp":1790000000}`, uuid)}
			rejects = append(rejects, connector.NewReject(&m, "an earlier release could not read it", time.Now()))
		}
		next.Counters.Rejected += uint64(len(rejects))
		if err := log.Commit(t.Context(), nil, rejects, next); err != nil {
			t.Fatal(err)
		}
	}
}
