//go:build linux

package main_test

import (
	"encoding/json"
	"math/rand/v2"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// restoreKilled kills a repair and a replay on Kafka in turns with kill -9. In the end each message and each item of the
// quarantine is in the log once.
func restoreKilled(t *testing.T, binary string, p place, brokers []string) {
	const seed, messages, late, aside = 37, 200, 1500, 1500
	r := newRig(t, binary, p, settings{streams: 1, start: "beginning"}, twochattest.Options{Seed: seed, History: messages})
	name := r.streams[0]
	r.start(t, 0)
	if !eventually(t.Context(), 90*time.Second, func() bool { return len(p.read(t)[name]) == messages }) {
		t.Fatal("the history does not come")
	}
	r.terminate(t, 0)
	c := *sinks.Defaults().Kafka
	c.Brokers, c.Topic = brokers, kafkaTopic
	quarantineMany(t, sinks.Config{Kafka: &c}, connector.Stream{
		Name: name, Number: r.numbers[0], SourceKey: connector.SourceKey(r.url, r.numbers[0], ""),
	}, aside)
	for i := range late {
		r.fake.Late(r.numbers[0], 5+i%100)
	}

	rng := rand.New(rand.NewPCG(seed, 1))
	log := filepath.Join(t.TempDir(), "restore.log")
	begin := func(turn int) *process {
		args := []string{"quarantine", "replay", "--config", r.config}
		if turn%2 == 0 {
			args = []string{"audit", "--config", r.config, "--all", "--repair"}
		}
		return launch(t, log, []string{"TWOCHAT_API_KEY=test"}, binary, args...)
	}
	kills := 0
	for turn := range 12 {
		restoring := begin(turn)
		within := time.Duration(50+rng.IntN(700)) * time.Millisecond // a whole run takes about a second
		eventually(t.Context(), within, func() bool { return !restoring.running() })
		if restoring.running() {
			kills++
		}
		restoring.kill()
		if code, _ := restoring.exit(time.Second); code != 0 && code != 128+int(syscall.SIGKILL) {
			t.Fatalf("turn %d ended by itself with %d:\n%s", turn, code, tail(log, 20))
		}
	}
	for turn := range 4 {
		restoring := begin(turn)
		if code, ok := restoring.exit(2 * time.Minute); !ok || code != 0 {
			t.Fatalf("the last turns: %d ended with %d, %v:\n%s", turn, code, ok, tail(log, 20))
		}
	}
	seen, sequences := map[string]bool{}, map[string]bool{}
	for _, raw := range p.read(t)[name] {
		var e struct{ ID, Sequence string }
		if err := json.Unmarshal(raw, &e); err != nil {
			t.Fatal(err)
		}
		if seen[e.ID] || sequences[e.Sequence] {
			t.Errorf("message %s or sequence %s stands in the log a second time", e.ID, e.Sequence)
		}
		seen[e.ID], sequences[e.Sequence] = true, true
	}
	if want := messages + late + aside; len(seen) != want || !sequences[connector.FormatSequence(uint64(want))] {
		t.Errorf("%d messages, want %d", len(seen), want)
	}
	if t.Logf("%d kills", kills); kills < 1 {
		t.Error("nothing was killed in its course")
	}
}
