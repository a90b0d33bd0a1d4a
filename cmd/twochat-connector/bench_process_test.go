//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/connector/poller"
)

// buildConnector builds the program as the image does, and returns its path.
func buildConnector(b testing.TB) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "twochat-connector")
	build := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// settings is a configuration of many streams that no rate and no budget slows down.
type settings struct {
	api, nats   string
	streams     int
	interval    time.Duration
	concurrency int
}

func (s settings) write(b testing.TB) string {
	b.Helper()
	dir := b.TempDir()
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, []byte(testKey), 0o400); err != nil {
		b.Fatal(err)
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "twochat:\n  base_url: %s\n  api_key_file: %s\n  streams:\n", s.api, key)
	for i := range s.streams {
		fmt.Fprintf(&text, "    - { number: %q, name: stream-%d }\n", benchNumber(i), i)
	}
	fmt.Fprintf(&text, "start: beginning\npoll:\n  min_interval: %v\n  max_interval: %v\n", s.interval, s.interval)
	fmt.Fprintf(&text, "  requests_per_minute: 1000000\n  monthly_credits: 1000000000000\n  concurrency: %d\n",
		s.concurrency)
	fmt.Fprintf(&text, "admin: { listen: '127.0.0.1:0' }\nsink:\n  jetstream: { url: %q, create: true }\n", s.nats)
	path := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}

// binary is the built program, running in a process of its own.
type binary struct {
	cmd   *exec.Cmd
	err   clitest.Output
	began time.Time
	admin string
}

// launchBinary starts `run` with a configuration, and waits for its admin server. The program ends with the benchmark,
// or when end is called.
func launchBinary(b testing.TB, path, config string) *binary {
	b.Helper()
	p := &binary{cmd: exec.Command(path, "run", "--config", config), began: time.Now()}
	p.cmd.Stderr, p.cmd.SysProcAttr = &p.err, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { p.end(b) })
	p.wait(b, time.Minute, func() bool {
		for line := range strings.Lines(p.err.String()) {
			var said struct{ Msg, Admin string }
			if json.Unmarshal([]byte(line), &said) == nil && said.Msg == "started" {
				p.admin = said.Admin
			}
		}
		return p.admin != ""
	})
	return p
}

// wait polls until yes returns true.
func (p *binary) wait(b testing.TB, within time.Duration, yes func() bool) {
	b.Helper()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(within); !yes(); <-ticker.C {
		if time.Now().After(deadline) {
			b.Fatalf("the program does not get there:\n%.4000s", p.err.String())
		}
	}
}

// ready waits until the program says that every stream is acquired and read. This costs the program less than its
// whole status.
func (p *binary) ready(b testing.TB, within time.Duration) {
	b.Helper()
	p.wait(b, within, func() bool {
		response, err := http.Get(p.admin + "/readyz")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

func (p *binary) status(b testing.TB) pipeline.Report {
	b.Helper()
	response, err := http.Get(p.admin + "/status")
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	var r pipeline.Report
	if err := json.NewDecoder(response.Body).Decode(&r); err != nil {
		b.Fatal(err)
	}
	return r
}

// rest waits until each stream has that many events in the sink, all certified.
func (p *binary) rest(b testing.TB, events uint64, within time.Duration) {
	b.Helper()
	p.ready(b, within)
	p.wait(b, within, func() bool {
		for _, s := range p.status(b).Streams {
			if s.State != poller.StateLive || s.Sequence != events || s.Certified != events {
				return false
			}
		}
		return true
	})
}

// scrape reads the metrics as Prometheus does, and returns their size in bytes.
func (p *binary) scrape(b testing.TB) int {
	b.Helper()
	response, err := http.Get(p.admin + "/metrics")
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(response.Body); err != nil || response.StatusCode != http.StatusOK {
		b.Fatalf("metrics: %s, %v", response.Status, err)
	}
	return text.Len()
}

// memory returns a figure of the process in bytes: VmRSS is the current one, VmHWM the highest.
func (p *binary) memory(b testing.TB, name string) uint64 {
	b.Helper()
	return memoryOf(b, p.cmd.Process.Pid, name)
}

// cpu returns what the process has used so far, including the kernel's work for it.
func (p *binary) cpu(b testing.TB) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	// The fields are counted after the name, which may contain blanks. Field 3 is the state, 14 and 15 are user and
	// system time in hundredths of a second (proc(5)).
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	var ticks time.Duration
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(field)
		if err != nil {
			b.Fatal(err)
		}
		ticks += time.Duration(n)
	}
	return ticks * 10 * time.Millisecond
}

// end stops the program with SIGTERM, and waits for it.
func (p *binary) end(b testing.TB) {
	b.Helper()
	if p.cmd.ProcessState != nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil {
		b.Errorf("the program ended: %v\n%.4000s", err, p.err.String())
	}
}

// BenchmarkSize catches up on 20,000 messages of several sizes with the built program, and reports the memory of the
// process and its CPU time for each message.
func BenchmarkSize(b *testing.B) {
	const messages = 20_000
	path := buildConnector(b)
	for _, quoted := range []int{0, 600, 2600} {
		b.Run(fmt.Sprintf("quoted-bytes=%d", quoted), func(b *testing.B) {
			api, _ := child(b, "2chat", apiRole{
				Numbers: []string{benchNumber(0)}, History: messages, Latency: backlogLatency, Quoted: quoted,
			})
			var cpu, wall time.Duration
			var peak uint64
			n := 0
			for b.Loop() {
				url, end := child(b, "nats", natsRole{Dir: b.TempDir()})
				s := settings{api: api, nats: url, streams: 1, interval: time.Second, concurrency: 8}
				p := launchBinary(b, path, s.write(b))
				p.rest(b, messages, time.Minute)
				n, wall, cpu, peak = n+1, wall+time.Since(p.began), cpu+p.cpu(b), max(peak, p.memory(b, "VmHWM:"))
				p.end(b)
				end()
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(wall.Seconds()/float64(n), "s/catch-up")
			b.ReportMetric(float64(cpu.Microseconds())/float64(n)/messages, "cpu-us/message")
			b.ReportMetric(float64(peak)/1e6, "MB-peak")
		})
	}
}
