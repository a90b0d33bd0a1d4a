//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector/poller"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// benchNumber is the i-th connected number of a benchmark. It is reserved for use in fiction.
func benchNumber(i int) string { return fmt.Sprintf("+1555%07d", 100_000+i) }

// benchConfig reads some numbers without a limit of the rate, so that the program is measured and not its waits.
func benchConfig(baseURL string, streams int, interval time.Duration) *config.Config {
	c := config.Default()
	c.TwoChat.BaseURL = baseURL
	for i := range streams {
		c.TwoChat.Streams = append(c.TwoChat.Streams, config.StreamConfig{
			Number: config.Number(benchNumber(i)),
			Name:   fmt.Sprintf("stream-%d", i),
		})
	}
	c.Start = config.Start{Mode: config.StartBeginning}
	c.Poll.MinInterval, c.Poll.MaxInterval = interval, interval
	c.Poll.RequestsPerMinute, c.Poll.MonthlyCredits = 1_000_000_000, 1_000_000_000_000
	return &c
}

// atWork is a running pipeline, with everything that `run` gives it except the admin server.
type atWork struct {
	*pipeline.Pipeline
	streams int            // that are configured; the pipeline lists fewer until it knows which it reads
	log     clitest.Output // warnings
	stop    context.CancelFunc
	ended   chan error
}

func begin(b testing.TB, c *config.Config) *atWork {
	b.Helper()
	privacy := twochat.Privacy{Identifiers: twochat.Identifiers(c.Privacy.Identifiers)}
	client, err := twochat.New(twochat.Config{BaseURL: c.TwoChat.BaseURL, Key: func() (string, error) {
		return testKey, nil
	}, Privacy: privacy})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	w := &atWork{streams: len(c.Streams()), stop: stop, ended: make(chan error, 1)}
	logger := slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	sink, err := sinks.Open(c.Sink, c.Encoding(), logger)
	if err != nil {
		b.Fatal(err)
	}
	w.Pipeline = pipeline.New(pipeline.Parts{
		Config: c, Sink: sink, Sources: []pipeline.Source{{Config: c, Client: client, Privacy: privacy}},
		Registry: prometheus.NewRegistry(), Logger: logger,
	})
	go func() {
		err := w.Run(ctx)
		client.Close()
		w.ended <- errors.Join(err, sink.Close())
	}()
	return w
}

// end stops the pipeline and waits for it.
func (w *atWork) end(b testing.TB) {
	b.Helper()
	w.stop()
	if err := <-w.ended; err != nil {
		b.Fatal(err)
	}
}

// rest waits until each stream has that many events in the sink, all certified, and another walk has found nothing
// new.
func (w *atWork) rest(b testing.TB, events uint64, every time.Duration) {
	b.Helper()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	deadline := time.NewTimer(4 * time.Minute)
	defer deadline.Stop()
	for i := 0; ; {
		for list := w.Statuses(); i < len(list); i++ {
			if s := list[i]; s.State != poller.StateLive || s.Sequence != events || s.Certified != events ||
				s.LastSuccessfulPoll.IsZero() {
				break
			}
		}
		if i == w.streams {
			return
		}
		select {
		case <-ticker.C:
		case err := <-w.ended:
			b.Fatalf("the pipeline ended: %v\n%s", err, w.log.String())
		case <-deadline.C:
			b.Fatalf("stream %d of %d does not come to rest: %+v\n%s", i, w.streams, w.Statuses(), w.log.String())
		}
	}
}

// spent is the cost of something in this process.
type spent struct {
	wall, cpu time.Duration
	// heap is the highest size of all objects, including dead ones; resident is the highest memory of the process.
	heap, resident uint64
}

// measure runs do on a clean heap.
func measure(b testing.TB, do func()) spent {
	b.Helper()
	cleanHeap()
	// Writing 5 resets the peak of the resident memory to its current size (proc(5), clear_refs).
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o200); err != nil {
		b.Logf("the peak of memory is that of the whole process: %v", err)
	}
	var s spent
	done := make(chan struct{})
	var sampler sync.WaitGroup
	sampler.Go(func() {
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for {
			s.heap = max(s.heap, heapNow())
			select {
			case <-ticker.C:
			case <-done:
				return
			}
		}
	})
	cpu, began := cpuTime(b), time.Now()
	do()
	s.wall, s.cpu = time.Since(began), cpuTime(b)-cpu
	close(done)
	sampler.Wait()
	s.resident = memoryOf(b, os.Getpid(), "VmHWM:")
	return s
}

func cleanHeap() {
	runtime.GC()
	debug.FreeOSMemory()
}

func heapNow() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// cpuTime returns what this process has used so far, including the kernel's work for it.
func cpuTime(b testing.TB) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// memoryOf returns a figure of /proc/PID/status in bytes: VmRSS is the current one, VmHWM the highest.
func memoryOf(b testing.TB, pid int, name string) uint64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		var kilobytes uint64
		if rest, ok := strings.CutPrefix(line, name); ok {
			if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
				b.Fatal(err)
			}
			return kilobytes << 10
		}
	}
	b.Fatalf("/proc/%d/status has no %s", pid, name)
	return 0
}

// download is a yardstick: it reads that many pages, with as many requests in flight as the connector has, and forgets
// them.
func download(b testing.TB, baseURL string, pages, inFlight int) time.Duration {
	b.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: inFlight}
	defer transport.CloseIdleConnections()
	var next atomic.Int64
	var group sync.WaitGroup
	began := time.Now()
	for range inFlight {
		group.Go(func() {
			for page := next.Add(1) - 1; page < int64(pages); page = next.Add(1) - 1 {
				if err := fetch(transport, fmt.Sprintf("%s/open/whatsapp/messages/%s?page_number=%d", baseURL, benchNumber(0),
					page)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	return time.Since(began)
}

func fetch(transport *http.Transport, url string) error {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Header.Set("X-User-API-Key", testKey)
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text))
}

// requests returns the number of pages that were requested.
func (w *atWork) requests() (n int64) {
	for _, s := range w.Statuses() {
		n += int64(s.Requests)
	}
	return n
}
