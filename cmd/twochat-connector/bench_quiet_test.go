//go:build linux

package main

import (
	"fmt"
	"testing"
	"time"
)

// The quiet streams of the target: their number, the history of each in the sink (two pages), and the interval of
// their polls.
const (
	quietStreams  = 1000
	quietMessages = 200
	quietInterval = 30 * time.Second
)

// BenchmarkQuiet restarts the built program over 1,000 streams on whose lists nothing happens. It reports how long it
// takes until all are acquired (their windows are rebuilt from JetStream) and read once, the CPU time of one interval
// of polling as a share of one core, the memory of the process (also after all streams caught up at the same time),
// and how evenly the polls are spread: the fullest tenth of the second interval, which would have a tenth of the polls
// if they were even. Its yardstick is the bare download of as many pages.
func BenchmarkQuiet(b *testing.B) {
	path := buildConnector(b)
	role := apiRole{History: quietMessages}
	for i := range quietStreams {
		role.Numbers = append(role.Numbers, benchNumber(i))
	}
	api, _ := child(b, "2chat", role)
	url, _ := child(b, "nats", natsRole{Dir: b.TempDir()})
	s := settings{api: api, nats: url, streams: quietStreams, interval: quietInterval, concurrency: 4}
	filled := launchBinary(b, path, s.write(b))
	filled.rest(b, quietMessages, 4*time.Minute)
	caughtUp := filled.memory(b, "VmHWM:")
	filled.end(b)

	config := s.write(b)
	var start, polling, yardstick time.Duration
	var calls, n, fullest int
	var started, resident, scraped, peak uint64
	for b.Loop() {
		n++
		p := launchBinary(b, path, config)
		p.ready(b, time.Minute)
		start += time.Since(p.began)
		started = max(started, p.memory(b, "VmRSS:"))
		polls(b, api)
		cpu := p.cpu(b)
		interval := time.NewTimer(quietInterval)
		<-interval.C
		polls(b, api)
		began := time.Now()
		interval.Reset(quietInterval)
		<-interval.C
		polling += (p.cpu(b) - cpu) / 2
		at := polls(b, api)
		calls += len(at)
		fullest = max(fullest, fullestTenth(at, began))
		resident = max(resident, p.memory(b, "VmRSS:"))
		p.scrape(b)
		scraped = max(scraped, p.memory(b, "VmRSS:"))
		p.rest(b, quietMessages, time.Minute)
		peak = max(peak, p.memory(b, "VmHWM:"))
		p.end(b)
		cpu = cpuTime(b)
		download(b, api, len(at), 1)
		yardstick += cpuTime(b) - cpu
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(start.Seconds()/float64(n), "s/start")
	b.ReportMetric(100*polling.Seconds()/float64(n)/quietInterval.Seconds(), "percent-of-a-core")
	b.ReportMetric(float64(calls)/float64(n)/quietStreams, "calls/stream")
	b.ReportMetric(100*float64(fullest)/quietStreams, "percent-in-fullest-tenth")
	b.ReportMetric(float64(polling.Microseconds())/float64(calls), "cpu-us/poll")
	b.ReportMetric(polling.Seconds()/yardstick.Seconds(), "x-bare-download")
	b.ReportMetric(float64(started)/1e6, "MB-started")
	b.ReportMetric(float64(resident)/1e6, "MB-polling")
	b.ReportMetric(float64(scraped)/1e6, "MB-scraped")
	b.ReportMetric(float64(peak)/1e6, "MB-peak")
	b.ReportMetric(float64(caughtUp)/1e6, "MB-peak-catching-up")
	b.Logf("load average: %s", load())
}

// fullestTenth returns the number of polls in the fullest tenth of an interval.
func fullestTenth(at []time.Time, began time.Time) int {
	var tenths [10]int
	for _, t := range at {
		if i := int(10 * t.Sub(began) / quietInterval); i >= 0 && i < len(tenths) {
			tenths[i]++
		}
	}
	fullest := 0
	for _, n := range tenths {
		fullest = max(fullest, n)
	}
	return fullest
}

// BenchmarkOne restarts the built program over one stream with a day's history in its window. It reports the memory of
// the process after the start, and at rest after some time of polling.
func BenchmarkOne(b *testing.B) {
	path := buildConnector(b)
	for _, messages := range []int{2_000, 20_000, 200_000} {
		b.Run(fmt.Sprintf("events=%d", messages), func(b *testing.B) {
			api, _ := child(b, "2chat", apiRole{Numbers: []string{benchNumber(0)}, History: messages})
			url, _ := child(b, "nats", natsRole{Dir: b.TempDir()})
			s := settings{api: api, nats: url, streams: 1, interval: time.Second, concurrency: 4}
			config := s.write(b)
			filled := launchBinary(b, path, config)
			filled.rest(b, uint64(messages), time.Minute)
			caughtUp, catchingUp := filled.memory(b, "VmHWM:"), filled.cpu(b)
			filled.end(b)
			var started, resident, peak uint64
			for b.Loop() {
				p := launchBinary(b, path, config)
				p.ready(b, time.Minute)
				started = max(started, p.memory(b, "VmRSS:"))
				interval := time.NewTimer(20 * s.interval)
				<-interval.C
				p.scrape(b)
				p.rest(b, uint64(messages), time.Minute)
				resident, peak = max(resident, p.memory(b, "VmRSS:")), max(peak, p.memory(b, "VmHWM:"))
				p.end(b)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(started)/1e6, "MB-started")
			b.ReportMetric(float64(resident)/1e6, "MB-polling")
			b.ReportMetric(float64(peak)/1e6, "MB-peak")
			b.ReportMetric(float64(caughtUp)/1e6, "MB-peak-catching-up")
			b.ReportMetric(float64(catchingUp.Microseconds())/float64(messages), "cpu-us/message-catching-up")
		})
	}
}
