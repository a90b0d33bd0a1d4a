//go:build linux

package main_test

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// rig is a fake 2Chat in the test's process, a broker, and places for copies of the connector.
type rig struct {
	fake    *twochattest.Fake
	place   place
	streams []string // by number
	numbers []string
	binary  string
	config  string
	words   []string // the operator's extra arguments at each start
	url     string
	sweeps  bool // late messages have to be found too
	floor   int  // messages of each list that are not wanted
	seats   []seat
}

// seat is a place where one copy of the connector may run.
type seat struct {
	config  string
	admin   string // the address of its admin server, always the same, so that a copy knows its predecessor
	log     string
	process *process
	stopped bool // paused by SIGSTOP
	asked   bool // the test stopped it
	starts  int
	ends    []int // exit codes of copies that the test did not stop
}

// settings are the parts of the connector's configuration that tests choose.
type settings struct {
	streams int
	start   string
	sweeps  bool
	// replicas share the streams. If it is 0, there are two copies of which the second reads one stream more. So they do
	// not share, but take the streams from each other.
	replicas int
	poll     string // more keys of the section poll
}

// spare is the stream that only the second of two copies reads.
const spare, spareNumber = "spare", "+15550109999"

// sweepEvery is the shortest interval that the configuration accepts.
const sweepEvery = time.Minute

// newRig starts the fake and the broker, and writes the configuration. It starts no connector.
func newRig(t *testing.T, binary string, p place, s settings, options twochattest.Options) *rig {
	t.Helper()
	r := &rig{place: p, binary: binary}
	var streams strings.Builder
	for i := range s.streams {
		r.numbers = append(r.numbers, fmt.Sprintf("+1555010%04d", 100+i))
		r.streams = append(r.streams, fmt.Sprintf("stream-%d", i+1))
		fmt.Fprintf(&streams, "    - { number: %q, name: %s }\n", r.numbers[i], r.streams[i])
	}
	options.Numbers = append(slices.Clone(r.numbers), spareNumber)
	options.RequestsPerMinute = cmp.Or(options.RequestsPerMinute, 1_000_000)
	options.Credits = 1_000_000_000
	r.fake = twochattest.New(options)
	server, err := r.fake.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	r.url = server.URL
	folder := t.TempDir()
	r.config = filepath.Join(folder, "config.yaml")
	sweep := ""
	if s.sweeps {
		sweep = fmt.Sprintf(", sweep: { every: %v }", sweepEvery)
	}
	if s.poll == "" {
		s.poll = "min_interval: 1s, max_interval: 2s, requests_per_minute: 1000000"
	}
	content := fmt.Sprintf(`twochat:
  base_url: %s
  streams:
%sstart: %s
poll: { %s, monthly_credits: 1000000000, timeout: 5s%s }
sink:
  %s
admin: { listen: 127.0.0.1:0 }
log: { format: json }
`, r.url, streams.String(), s.start, s.poll, sweep, p.sink())
	more := strings.Replace(content, streams.String(),
		streams.String()+fmt.Sprintf("    - { number: %q, name: %s }\n", spareNumber, spare), 1)
	other := filepath.Join(folder, "other.yaml")
	err = errors.Join(os.WriteFile(r.config, []byte(content), 0o600), os.WriteFile(other, []byte(more), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	copies := cmp.Or(s.replicas, 2)
	ports := sinktest.FreePorts(t, copies)
	for i := range copies {
		of := seat{
			config: r.config, admin: fmt.Sprintf("127.0.0.1:%d", ports+i),
			log: filepath.Join(folder, fmt.Sprintf("connector-%d.log", i+1)),
		}
		if s.replicas == 0 && i == 1 {
			of.config = other
		}
		r.seats = append(r.seats, of)
	}
	r.sweeps = s.sweeps
	p.start(t)
	t.Cleanup(func() {
		for i := range r.seats {
			r.seats[i].process.kill()
		}
		if t.Failed() {
			for i := range r.seats {
				t.Logf("connector %d, the end of its log:\n%s", i+1, tail(r.seats[i].log, 40))
			}
			for _, log := range p.logs() {
				t.Logf("the end of %s:\n%s", filepath.Base(log), tail(log, 20))
			}
		}
	})
	return r
}

// start starts a copy of the connector in an empty seat.
func (r *rig) start(t *testing.T, i int) {
	t.Helper()
	s := &r.seats[i]
	if s.process.running() {
		return
	}
	r.note(t, i)
	args := append([]string{"run", "--config", s.config}, r.words...)
	s.process = launch(t, s.log, []string{"TWOCHAT_API_KEY=test", "TWOCHAT_CONNECTOR_ADMIN_LISTEN=" + s.admin}, r.binary,
		args...)
	s.starts++
	s.stopped, s.asked = false, false
}

// note records the exit of a copy that ended by itself.
func (r *rig) note(t *testing.T, i int) {
	s := &r.seats[i]
	if s.process == nil || s.asked || s.process.running() {
		return
	}
	code, _ := s.process.exit(time.Second)
	s.ends, s.asked = append(s.ends, code), true
	t.Errorf("connector %d ended by itself with %d, though a broker that is down is to be waited for:\n%s", i+1, code,
		tail(s.log, 3))
}

func (r *rig) kill(t *testing.T, i int) {
	t.Helper()
	r.note(t, i)
	r.seats[i].asked = true
	r.seats[i].process.kill()
	r.seats[i].stopped = false
}

func (r *rig) pause(i int) {
	r.seats[i].process.signal(syscall.SIGSTOP)
	r.seats[i].stopped = true
}

func (r *rig) resume(i int) {
	r.seats[i].process.signal(syscall.SIGCONT)
	r.seats[i].stopped = false
}

// terminate sends SIGTERM, and checks that the exit is orderly.
func (r *rig) terminate(t *testing.T, i int) {
	t.Helper()
	s := &r.seats[i]
	r.note(t, i)
	if !s.process.running() {
		return
	}
	s.asked = true
	s.process.signal(syscall.SIGTERM)
	if code, ok := s.process.exit(25 * time.Second); !ok {
		t.Errorf("connector %d does not end within 25s of SIGTERM", i+1)
		s.process.kill()
	} else if code != 0 {
		t.Errorf("connector %d ends with %d after SIGTERM, expected 0", i+1, code)
	}
}

// audit compares everything that the broker holds with what the fake listed.
func (r *rig) audit(t *testing.T) map[string]twochattest.Report {
	t.Helper()
	return r.auditOf(t, func() map[string][][]byte {
		all := make(map[string][][]byte)
		for name, events := range r.place.read(t) {
			for _, event := range events {
				all[name] = append(all[name], event)
			}
		}
		return all
	}())
}

func (r *rig) auditOf(t *testing.T, events map[string][][]byte) map[string]twochattest.Report {
	t.Helper()
	reports := make(map[string]twochattest.Report)
	for i, name := range r.streams {
		_, compact := r.place.(filePlace) // there, an event is a line of its own
		audit := twochattest.Audit{Compact: compact}
		for _, event := range events[name] {
			if err := audit.SeeCloudEvent(event); err != nil {
				t.Fatal(err)
			}
		}
		wanted := slices.DeleteFunc(r.fake.Truth(r.numbers[i]), func(m twochattest.Message) bool { return m.Index < r.floor })
		reports[name] = audit.Report(wanted)
		delete(events, name)
	}
	delete(events, spare)
	for name := range events {
		t.Errorf("the broker holds events of %q, which nobody configured", name)
	}
	return reports
}

// whole reports whether nothing is missing any more.
func (r *rig) whole(reports map[string]twochattest.Report) bool {
	for _, report := range reports {
		if report.Lost > 0 || r.sweeps && report.LateMissing > 0 {
			return false
		}
	}
	return true
}

// begun reports whether most of the initial content of each list has arrived. If a list lies to a first start, it is
// complete only after minutes. This test does not wait that long, because the reader's own tests cover it without a
// clock.
func (r *rig) begun(t *testing.T) bool {
	for _, report := range r.audit(t) {
		if report.Events < crashHistory*3/4 {
			return false
		}
	}
	return true
}

// settle waits until every message has arrived, and then until each stream was polled a few times more, during which
// nothing may change.
func (r *rig) settle(t *testing.T, within time.Duration) map[string]twochattest.Report {
	t.Helper()
	began := time.Now()
	for !r.whole(r.audit(t)) && time.Since(began) < within && pause(t.Context(), time.Second) {
	}
	arrived := time.Since(began)
	after := make([]int, len(r.numbers))
	for i, number := range r.numbers {
		after[i] = r.fake.PageRequests(number) + 3
	}
	if !eventually(t.Context(), 30*time.Second, func() bool {
		for i, number := range r.numbers {
			if r.fake.PageRequests(number) < after[i] {
				return false
			}
		}
		return true
	}) {
		t.Error("some stream is not polled any more")
	}
	t.Logf("all had arrived %v after the last fault", arrived.Round(100*time.Millisecond))
	reports := r.audit(t)
	for name, report := range reports {
		if r.sweeps && report.LateMissing > 0 {
			t.Errorf("%s: %d late messages were not found", name, report.LateMissing)
		}
	}
	if !r.whole(reports) {
		t.Logf("not all had arrived; status:\n%s", r.status())
	}
	return reports
}

// status returns the reports of the running connectors.
func (r *rig) status() string {
	var all strings.Builder
	for i := range r.seats {
		response, err := http.Get("http://" + r.seats[i].admin + "/status")
		if err != nil {
			continue // it does not run
		}
		_, err = io.Copy(&all, response.Body)
		if err = errors.Join(err, response.Body.Close()); err != nil {
			fmt.Fprintln(&all, err)
		}
	}
	return all.String()
}

// expectClean checks that each message is delivered once, in order, without a gap in the sequence, and byte for byte.
func expectClean(t *testing.T, reports map[string]twochattest.Report) {
	t.Helper()
	var sum twochattest.Report
	for name, report := range reports {
		sum.Events, sum.Wanted, sum.Late = sum.Events+report.Events, sum.Wanted+report.Wanted, sum.Late+report.Late
		sum.Lost, sum.Doubled, sum.Gaps = sum.Lost+report.Lost, sum.Doubled+report.Doubled, sum.Gaps+report.Gaps
		sum.OutOfOrder, sum.UnmarkedLate = sum.OutOfOrder+report.OutOfOrder, sum.UnmarkedLate+report.UnmarkedLate
		sum.Invented, sum.LateMissing, sum.Gone = sum.Invented+report.Invented, sum.LateMissing+report.LateMissing,
			sum.Gone+report.Gone
		sum.Poison += report.Poison
		if !report.Clean() {
			t.Errorf("%s: %s", name, report)
		}
	}
	if sum.Events == 0 {
		t.Error("there is no event at all")
	}
	t.Logf("all streams: %s", sum)
}
