//go:build linux

package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// backfillBeside kills a backfill and the live connector beside it with kill -9 again and again, while the list moves.
// In the end the two streams together have to be the list: nothing lost, doubled or out of order.
func backfillBeside(t *testing.T, binary string, p place) {
	const seed = 17
	r := newRig(t, binary, p, settings{streams: 1, start: "now"}, twochattest.Options{
		Seed: seed, History: 6000, Latency: 2 * time.Millisecond, Shapes: twochattest.ShapesLive,
		Drift: twochattest.Drift{Inserts: .3, Bursts: .004, BurstMax: 150, BurstPages: 2, Deletes: .01, Edits: .02},
	})
	rng := rand.New(rand.NewPCG(seed, 2))
	live, history, number := r.streams[0], r.streams[0]+"-history", r.numbers[0]
	r.start(t, 0)
	// Before that, nothing tells where the history ends. The number of requests does not tell it, because a busy machine
	// asks for the first page twice.
	if !eventually(t.Context(), 60*time.Second, func() bool {
		return strings.Contains(tail(r.seats[0].log, 50), `"state":"live"`)
	}) {
		t.Fatal("the live stream does not start")
	}

	log := filepath.Join(t.TempDir(), "backfill.log")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the backfill's log:\n%s", tail(log, 30))
		}
	})
	begin := func() *process {
		return launch(t, log, []string{"TWOCHAT_API_KEY=test"}, binary, "backfill", "--config", r.config, "--stream", live,
			"--all", "--json")
	}
	kills := 0
	for range 5 {
		backfill := begin()
		goal := r.fake.PageRequests(number) + 25 + rng.IntN(70)
		if !eventually(t.Context(), 60*time.Second, func() bool {
			return !backfill.running() || r.fake.PageRequests(number) >= goal
		}) {
			t.Fatal("the backfill does not read")
		}
		if backfill.running() {
			kills++
		}
		backfill.kill()
		if code, _ := backfill.exit(time.Second); code != 0 && code != 128+int(syscall.SIGKILL) {
			t.Errorf("a backfill ended by itself with %d", code)
		}
		if kills%2 == 1 {
			r.kill(t, 0)
			r.start(t, 0)
		}
	}
	for _, what := range []string{"the last backfill", "another one, with nothing left to do"} {
		backfill := begin()
		switch code, ok := backfill.exit(4 * time.Minute); {
		case !ok:
			backfill.kill()
			t.Fatalf("%s does not end", what)
		case code != 0:
			t.Fatalf("%s ended with %d", what, code)
		}
	}
	calls := r.fake.PageRequests(number)
	r.fake.Quiet()
	var report twochattest.Report
	var sizes [2]int
	eventually(t.Context(), 90*time.Second, func() bool {
		report, sizes = r.together(t, history, live)
		return report.Lost == 0
	})
	r.terminate(t, 0)
	report, sizes = r.together(t, history, live)
	t.Logf("%d kills; %d events of history and %d live with %d calls: %s", kills, sizes[0], sizes[1], calls, report)
	if !report.Clean() {
		t.Errorf("history and live stream together: %s", report)
	}
	if kills < 3 || sizes[0] < 5000 || sizes[1] < 50 {
		t.Errorf("%d kills, %d events of history and %d live ones show little", kills, sizes[0], sizes[1])
	}
}

// together compares streams, one after the other, with one list, and checks the sequence of each one's events.
func (r *rig) together(t *testing.T, names ...string) (twochattest.Report, [2]int) {
	t.Helper()
	all := r.place.read(t)
	var audit twochattest.Audit
	var sizes [2]int
	sum := uint64(0)
	for i, name := range names {
		sizes[i] = len(all[name])
		for at, raw := range all[name] {
			var event struct {
				ID, Subject, Sequence string
				Late                  bool
				Data                  json.RawMessage
			}
			if err := json.Unmarshal(raw, &event); err != nil {
				t.Fatal(err)
			}
			if n, err := strconv.Atoi(event.Sequence); err != nil || n != at+1 {
				t.Fatalf("%s: event %d has sequence %s", name, at+1, event.Sequence)
			}
			sum++
			audit.See(twochattest.Event{ID: event.ID, Sequence: sum, Late: event.Late, Chat: event.Subject, Data: event.Data})
		}
		delete(all, name)
	}
	for name := range all {
		t.Errorf("there are events of %q, which nobody asked for", name)
	}
	return audit.Report(r.fake.Truth(r.numbers[0])), sizes
}

// filePlace is a folder with files of JSON lines, without any broker.
type filePlace struct{ folder string }

func (p filePlace) start(*testing.T)  {}
func (p filePlace) kill(*testing.T)   {}
func (p filePlace) pause(*testing.T)  {}
func (p filePlace) resume(*testing.T) {}
func (p filePlace) logs() []string    { return nil }
func (p filePlace) sink() string {
	return fmt.Sprintf("file: { path: %q, max_bytes: 1048576 }", filepath.Join(p.folder, "events.jsonl"))
}

// read reads the files, including rotated ones, each stream's in the order of their numbers.
func (p filePlace) read(t *testing.T) map[string][]json.RawMessage {
	t.Helper()
	events := make(map[string][]json.RawMessage)
	for _, base := range []string{"events.jsonl", "events.stream-1-history.jsonl"} {
		for _, content := range p.contents(t, base) {
			for line := range bytes.Lines(content) {
				if !bytes.HasSuffix(line, []byte("\n")) {
					break // still being written
				}
				name, err := streamOf(line)
				if err != nil {
					t.Fatal(err)
				}
				if history := strings.Contains(base, "history"); history != strings.HasSuffix(name, "-history") {
					t.Errorf("%s holds an event of %s", base, name)
				}
				events[name] = append(events[name], bytes.TrimSpace(line))
			}
		}
	}
	return events
}

// contents reads a file's parts, oldest first. It reads again if one was rotated meanwhile, because that part would be
// missing.
func (p filePlace) contents(t *testing.T, base string) [][]byte {
	t.Helper()
	for {
		var contents [][]byte
		paths := p.parts(base)
		for _, path := range paths {
			content, err := os.ReadFile(path)
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			contents = append(contents, content)
		}
		if len(p.parts(base)) == len(paths) {
			return contents
		}
	}
}

// parts lists a file's parts, oldest first.
func (p filePlace) parts(base string) []string {
	var paths []string
	for n := 1; ; n++ {
		path := filepath.Join(p.folder, fmt.Sprintf("%s.%d", base, n))
		if _, err := os.Stat(path); err != nil {
			return append(paths, filepath.Join(p.folder, base))
		}
		paths = append(paths, path)
	}
}

// fakeKafkaPlace is a Kafka in the test's process.
type fakeKafkaPlace struct{ *kafkaPlace }

func newFakeKafkaPlace(t *testing.T) fakeKafkaPlace {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1),
		kfake.BrokerConfigs(map[string]string{"auto.create.topics.enable": "false", "default.replication.factor": "1"}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	_, port, err := net.SplitHostPort(cluster.ListenAddrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return fakeKafkaPlace{&kafkaPlace{ports: []int{number}}}
}

func (p fakeKafkaPlace) start(*testing.T)  {}
func (p fakeKafkaPlace) kill(*testing.T)   {}
func (p fakeKafkaPlace) pause(*testing.T)  {}
func (p fakeKafkaPlace) resume(*testing.T) {}
func (p fakeKafkaPlace) logs() []string    { return nil }
