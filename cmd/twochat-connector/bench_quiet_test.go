//go:build linux

package main

import (
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/sinks"
)

// The quiet streams of the target: so many, each with two pages of history in the sink, each polled once in this time.
const (
	quietStreams  = 1000
	quietMessages = 200
	quietInterval = 30 * time.Second
)

// BenchmarkQuiet restarts the connector over 1,000 streams on whose lists nothing happens. It reports how long it takes until all are
// acquired (their windows rebuilt from JetStream) and read once, what an interval of polling then costs of one core, and the
// memory. Its yardstick is the bare download of as many pages.
func BenchmarkQuiet(b *testing.B) {
	role := apiRole{History: quietMessages}
	for i := range quietStreams {
		role.Numbers = append(role.Numbers, benchNumber(i))
	}
	api, _ := child(b, "2chat", role)
	url, _ := child(b, "nats", natsRole{Dir: b.TempDir()})
	sink := *sinks.Defaults().JetStream
	sink.URL, sink.Create = url, true

	first := benchConfig(api, quietStreams, time.Second)
	first.Sink = sinks.Config{JetStream: &sink}
	w := begin(b, first)
	w.rest(b, quietMessages, 100*time.Millisecond)
	w.end(b)

	c := benchConfig(api, quietStreams, quietInterval)
	c.Sink = first.Sink
	var start, polling, yardstick time.Duration
	var calls, n int64
	var heap, resident, peak uint64
	for b.Loop() {
		n++
		var w *atWork
		s := measure(b, func() {
			w = begin(b, c)
			w.rest(b, quietMessages, 20*time.Millisecond)
		})
		start += s.wall
		before, cpu := w.calls.Load(), cpuTime(b)
		interval := time.NewTimer(quietInterval)
		<-interval.C
		polling += cpuTime(b) - cpu
		made := w.calls.Load() - before
		calls += made
		resident = max(resident, memoryOf(b, "VmRSS:"))
		peak = max(peak, memoryOf(b, "VmHWM:"))
		cleanHeap()
		heap = max(heap, heapNow())
		w.rest(b, quietMessages, 20*time.Millisecond)
		w.end(b)
		cpu = cpuTime(b)
		download(b, api, int(made), 1)
		yardstick += cpuTime(b) - cpu
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(start.Seconds()/float64(n), "s/start")
	b.ReportMetric(100*polling.Seconds()/float64(n)/quietInterval.Seconds(), "percent-of-a-core")
	b.ReportMetric(float64(calls)/float64(n)/quietStreams, "calls/stream")
	b.ReportMetric(float64(polling.Microseconds())/float64(calls), "cpu-us/poll")
	b.ReportMetric(polling.Seconds()/yardstick.Seconds(), "x-bare-download")
	b.ReportMetric(float64(heap)/1e6, "MB-heap-after-GC")
	b.ReportMetric(float64(resident)/1e6, "MB-resident")
	b.ReportMetric(float64(peak)/1e6, "MB-peak-resident")
	b.Logf("load average: %s", load())
}
