package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/connector/poller"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// reloaded is a running instance whose file changes as a ConfigMap does: the link ..data is set to another folder.
type reloaded struct {
	*running
	t       *testing.T
	mounted string // the folder
	version int
	url     string
	first   string // the file
}

const reloadedNumbers = 4

func startReloaded(t *testing.T, streams string, more ...string) *reloaded {
	t.Helper()
	var numbers []string
	for i := range reloadedNumbers {
		numbers = append(numbers, accountNumber(i))
	}
	_, url := fakeAPI(t, twochattest.Options{Numbers: numbers, History: 120})
	r := &reloaded{t: t, mounted: t.TempDir(), url: url}
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(testKey), 0o400); err != nil {
		t.Fatal(err)
	}
	r.first = fmt.Sprintf("twochat: { base_url: %s, api_key_file: %s, streams: [STREAMS] }\nstart: beginning\npoll: { min_interval: 1s, max_interval: 1s, monthly_credits: 1000000000 }\nadmin: { listen: '127.0.0.1:0' }\nsink: { file: { path: %s } }\n",
		url, key, filepath.Join(t.TempDir(), "events.jsonl"))
	r.mount(r.with(streams))
	if err := os.Symlink("..data/config.yaml", filepath.Join(r.mounted, "config.yaml")); err != nil {
		t.Fatal(err)
	}
	r.running = start(t, append([]string{"run", "--config", filepath.Join(r.mounted, "config.yaml")}, more...)...)
	return r
}

// with returns the configuration with these streams.
func (r *reloaded) with(streams string) string {
	return strings.Replace(r.first, "STREAMS", streams, 1)
}

func streamOf(i int) string { return fmt.Sprintf("{ number: %q, name: s%d }", accountNumber(i), i) }

// mount replaces the file as a kubelet does.
func (r *reloaded) mount(content string) {
	r.t.Helper()
	r.version++
	folder := fmt.Sprintf("..%d", r.version)
	err := os.Mkdir(filepath.Join(r.mounted, folder), 0o700)
	if err == nil {
		err = os.WriteFile(filepath.Join(r.mounted, folder, "config.yaml"), []byte(content), 0o600)
	}
	if err == nil {
		err = os.Symlink(folder, filepath.Join(r.mounted, "..data_tmp"))
	}
	if err == nil {
		err = os.Rename(filepath.Join(r.mounted, "..data_tmp"), filepath.Join(r.mounted, "..data"))
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *reloaded) report() (of pipeline.Report) {
	r.t.Helper()
	_, body := get(r.t, r.admin()+"/status")
	if err := json.Unmarshal([]byte(body), &of); err != nil {
		r.t.Fatal(err)
	}
	return of
}

// live returns the names of the streams that are live with that many messages in the log.
func (r *reloaded) live(sequence uint64) string {
	r.t.Helper()
	var names []string
	for _, s := range r.report().Streams {
		if s.State == poller.StateLive && s.Sequence == sequence {
			names = append(names, s.Stream)
		}
	}
	return strings.Join(names, " ")
}

func (r *reloaded) count(message string) int {
	return strings.Count(r.err.String(), `"msg":"`+message+`"`)
}

// A changed file is reloaded: streams that stay are not acquired again, removed ones release their place, and new ones
// begin with a first start. A file that is wrong or needs a restart changes nothing.
func TestRun_Reload(t *testing.T) {
	t.Parallel()
	r := startReloaded(t, streamOf(0)+", "+streamOf(1))
	until(t, "two streams", func() bool { return r.live(120) == "s0 s1" })
	r.mount(strings.Replace(r.with(streamOf(1)+", "+streamOf(2)), "max_interval: 1s", "max_interval: 30s", 1) +
		"log: { level: debug }\n")
	until(t, "another stream", func() bool { return r.live(120) == "s1 s2" })
	if acquired := r.count("stream acquired"); acquired != 3 {
		t.Errorf("streams were acquired %d times, want 3: one that stays is not acquired anew", acquired)
	}
	clitest.WantText(t, "the log", r.err.String(), `"msg":"configuration reloaded"`, `"streams_begun":1`,
		`"streams_ended":1`, `"streams_kept":1`)
	_, metrics := get(t, r.admin()+"/metrics")
	if strings.Contains(metrics, `stream="s0"`) || !strings.Contains(metrics, `stream="s2"`) ||
		!strings.Contains(metrics, "twochat_connector_config_last_reload_successful 1") {
		t.Error("the metrics are not those of the streams that are read")
	}
	until(t, "a longer interval", func() bool { return r.report().Streams[0].Interval.Seconds() > 1 })

	// A wrong file is refused as a whole, with the same words as check.
	r.mount(strings.Replace(r.with(streamOf(3)), "poll: {", "pol: {", 1))
	until(t, "the refusal", func() bool { return r.report().Configuration.Refused != "" })
	_, _, said := finish(t, "check", "--offline", "--config", filepath.Join(r.mounted, "config.yaml"))
	if got := r.report(); !strings.Contains(said, got.Configuration.Refused) || !got.Ready || r.live(120) != "s1 s2" {
		t.Errorf("refused as %q while check says %q; live are %s", got.Configuration.Refused, said, r.live(120))
	}
	// What needs a restart is named, and nothing of the file is applied.
	r.mount(strings.Replace(r.with(streamOf(3)), "events.jsonl", "other.jsonl", 1))
	until(t, "the refusal of another sink", func() bool {
		return strings.Contains(r.report().Configuration.Refused, "needs a restart: sink.file.path")
	})
	// A list at another address is another one, so a restart alone would be refused.
	r.mount(strings.Replace(r.with(streamOf(3)), "base_url: http", "base_url: https", 1))
	until(t, "the refusal of another address", func() bool {
		of := r.report().Configuration
		return strings.Contains(of.Refused, "needs a restart: twochat.base_url") &&
			strings.Contains(of.Hint, "checkpoint move")
	})
	_, metrics = get(t, r.admin()+"/metrics")
	if !strings.Contains(metrics, "twochat_connector_config_last_reload_successful 0") || r.live(120) != "s1 s2" {
		t.Errorf("a refused file is half in force: %s are live", r.live(120))
	}
	code, out, _ := finish(t, "status", "--admin", r.admin())
	clitest.WantText(t, "status", out, "refused", "twochat.base_url")
	wantCode(t, code, 0)
	if refused := r.count("the configuration file has changed and is refused; the configuration before it stays in force"); refused != 3 {
		t.Errorf("three wrong files are told %d times", refused)
	}

	// A stream that comes back continues where it was.
	r.mount(r.with(streamOf(0) + ", " + streamOf(1) + ", " + streamOf(2)))
	until(t, "all of them", func() bool { return r.live(120) == "s0 s1 s2" })
	if got := r.report().Configuration; got.Refused != "" || got.Loaded.IsZero() {
		t.Errorf("a right file leaves %+v", got)
	}
	wantCode(t, r.end(), 0)
}

// Accounts can be added and removed like streams.
func TestRun_ReloadAccounts(t *testing.T) {
	t.Parallel()
	events := filepath.Join(t.TempDir(), "events.jsonl")
	_, path := startAccounts(t, 3, -1, -1, -1, "file: { path: "+events+" }")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	without := func(i int) []byte {
		var lines []string
		for line := range strings.Lines(string(content)) {
			if !strings.HasPrefix(line, fmt.Sprintf("  - { name: a%d,", i)) {
				lines = append(lines, line)
			}
		}
		return []byte(strings.Join(lines, ""))
	}
	write := func(content []byte) {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(without(2))
	r := &reloaded{t: t, running: start(t, "run", "--config", path)}
	until(t, "two accounts", func() bool { return r.live(230) == "s0 s1" })
	write(without(0))
	until(t, "another account", func() bool { return r.live(230) == "s1 s2" })
	_, metrics := get(t, r.admin()+"/metrics")
	if strings.Contains(metrics, `account="a0"`) || !strings.Contains(metrics, `credits_left{account="a2"}`) {
		t.Error("the metrics are not those of the accounts that are read")
	}
	write(content)
	until(t, "all accounts", func() bool { return r.live(230) == "s0 s1 s2" })
	if acquired := r.count("stream acquired"); acquired != 4 {
		t.Errorf("streams were acquired %d times, want 4", acquired)
	}
	wantCode(t, r.end(), 0)
}
