package poller

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// allSeries reads all series of a registry whose names have this prefix: name{labels} = value, sorted.
func allSeries(t *testing.T, registry *prometheus.Registry, prefix string) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, family := range families {
		name, ok := strings.CutPrefix(family.GetName(), "twochat_connector_")
		if !ok || !strings.HasPrefix(name, prefix) {
			continue
		}
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				if l.GetName() != "stream" {
					labels = append(labels, l.GetValue())
				}
			}
			found[strings.TrimSpace(name+" "+strings.Join(labels, " "))] =
				m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return found
}

func TestMetrics_NamesAreClean(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPollerFixture(t, nil, connectortest.Newest(8, 1)...)
		pass(5 * time.Minute)
		problems, err := testutil.GatherAndLint(s.registry)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
		s.stop()
	})
}

// Rates need a zero to start from.
func TestMetrics_CountersBeginAtZero(t *testing.T) {
	registry := prometheus.NewRegistry()
	NewMetrics(registry).of("a")
	got := allSeries(t, registry, "")
	var want []string
	for _, fault := range pageFaults {
		want = append(want, "requests_total "+string(fault))
	}
	want = append(want, "requests_total ok", "requests_total unchanged", "walks_moved_total")
	for _, result := range []string{"delivered", "late", "rejected", "held"} {
		want = append(want, "messages_total "+result)
	}
	for _, outcome := range []string{"ok", "fenced", "unclear", "not_now", "rejected"} {
		want = append(want, "commits_total "+outcome)
	}
	for _, name := range want {
		if v, there := got[name]; !there || v != 0 {
			t.Errorf("%s is there: %v, at %v", name, there, v)
		}
	}
}

func TestMetrics_SayWhatHappened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPollerFixture(t, nil, connectortest.Newest(3, 1)...)
		pass(2 * time.Minute)
		outcomes := []error{
			connector.ErrNotNow, connectortest.ErrNoAnswer,
			&connector.Rejected{Key: connectortest.Message(5).Key, Reason: "too large"},
		}
		s.answer(func(context.Context, []connector.Event) (bool, error) {
			if len(outcomes) == 0 {
				return true, nil
			}
			err := outcomes[0]
			outcomes = outcomes[1:]
			return false, err
		})
		s.list.Change(func() {
			s.list.Add(connectortest.Newest(5, 4)...)
			s.list.Under(3, connectortest.Message(70))
			failed := 0
			s.list.Before = func(int, int) error {
				if failed++; failed < 3 {
					return connectortest.Fault(connector.FaultTransient, 0)
				}
				return nil
			}
		})
		pass(5 * time.Minute)
		s.wantLog("m1 m2 m3 m70* m4")
		got := allSeries(t, s.registry, "")
		_, commits, _ := s.log.Counts()
		for name, want := range map[string]float64{
			"requests_total transient": 2, "requests_total credits": 0, "messages_total delivered": 5, "messages_total late": 1,
			"messages_total rejected": 1,
			"messages_total held":     0, "commits_total not_now": 1, "commits_total unclear": 1, "commits_total rejected": 1,
			"commits_total fenced": 0,
			"stream_state live":    1, "stream_state no_sink": 0, "stream_state acquiring": 0, "log_sequence": 5,
			"unconfirmed_events":                  0,
			"unconfirmed_since_timestamp_seconds": 0, "backlog_page": 0, "seen_window_events": 5,
			"newest_message_timestamp_seconds": unix(connectortest.Minute(5)),
			"commits_total ok":                 float64(commits),
		} {
			if got[name] != want {
				t.Errorf("%s is %v, want %v", name, got[name], want)
			}
		}
		if got["requests_total unchanged"] == 0 || got["requests_total ok"] == 0 || got["walk_duration_seconds"] == 0 ||
			got["commit_duration_seconds"] == 0 {
			t.Errorf("nothing counted: %v", got)
		}
		status := s.poller.Status()
		if got["last_successful_poll_timestamp_seconds"] != unix(status.LastSuccessfulPoll) ||
			got["confirmed_until_timestamp_seconds"] != unix(status.ConfirmedUntil) ||
			got["interval_seconds"] != status.Interval.Seconds() {
			t.Errorf("gauges are not the status: %v, %+v", got, status)
		}
		s.stop()
		if got := allSeries(t, s.registry, "stream_state stopped"); len(got) > 1 {
			t.Error(got)
		}
	})
}

// A stream is in one state, and each state has a series.
func TestMetrics_OneStateAtATime(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := NewMetrics(registry).of("a")
	for _, state := range states {
		m.show(Status{Stream: "a", State: state})
		var on []string
		got := allSeries(t, registry, "stream_state")
		for name, v := range got {
			if v == 1 {
				on = append(on, name)
			}
		}
		if len(got) != len(states) || !slices.Equal(on, []string{"stream_state " + string(state)}) {
			t.Errorf("in state %s the series at 1 are %v of %d", state, on, len(got))
		}
	}
}

func TestMetrics_TwoStreamsShareThem(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := NewMetrics(registry)
	m.of("a").request(connector.Page{}, nil)
	m.of("b").request(connector.Page{Unchanged: true}, nil)
	m.of("b").request(connector.Page{}, fmt.Errorf("page: %w", connectortest.Fault(connector.FaultKey, 0)))
	m.of("b").request(connector.Page{}, context.Canceled) // not an outcome of a request
	var want strings.Builder
	want.WriteString("# HELP twochat_connector_requests_total Page requests by outcome; each one is a paid call.\n# TYPE twochat_connector_requests_total counter\n")
	for stream, counted := range map[string][]string{"a": {"ok"}, "b": {"unchanged", "key"}} {
		for _, outcome := range requestOutcomes {
			n := 0
			if slices.Contains(counted, string(outcome)) {
				n = 1
			}
			fmt.Fprintf(&want, "twochat_connector_requests_total{outcome=%q,stream=%q} %d\n", outcome, stream, n)
		}
	}
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want.String()),
		"twochat_connector_requests_total"); err != nil {
		t.Error(err)
	}
}

// The durations in Prometheus are cumulative, and a bound belongs to its bucket.
func TestMetrics_Durations(t *testing.T) {
	registry := prometheus.NewRegistry()
	s := NewMetrics(registry).of("a")
	for _, took := range []time.Duration{
		0, 10 * time.Millisecond, 11 * time.Millisecond, time.Second, 5 * time.Minute,
		time.Hour,
	} {
		s.step(reader.Outcome{}, took, "")
	}
	s.commit(2*time.Second, nil, "")
	want := "# HELP twochat_connector_walk_duration_seconds How long a walk took, with the delivery of its messages.\n# TYPE twochat_connector_walk_duration_seconds histogram\n"
	for _, bucket := range []struct {
		bound string
		count int
	}{
		{"0.01", 2},
		{"0.05", 3},
		{"0.1", 3},
		{"0.25", 3},
		{"0.5", 3},
		{"1", 4},
		{"2.5", 4},
		{"5", 4},
		{"10", 4},
		{"30", 4},
		{"60", 4},
		{"300", 5},
		{"+Inf", 6},
	} {
		want += fmt.Sprintf("twochat_connector_walk_duration_seconds_bucket{stream=\"a\",le=%q} %d\n", bucket.bound,
			bucket.count)
	}
	want += "twochat_connector_walk_duration_seconds_sum{stream=\"a\"} 3901.021\ntwochat_connector_walk_duration_seconds_count{stream=\"a\"} 6\n"
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want),
		"twochat_connector_walk_duration_seconds"); err != nil {
		t.Error(err)
	}
	if got := allSeries(t, registry, "commit_duration_seconds"); got["commit_duration_seconds"] != 1 {
		t.Error(got)
	}
}

// pageFaults lists every kind of fault, because their metrics begin at zero.
var pageFaults = [...]connector.PageFault{
	connector.FaultTransient, connector.FaultInvalid, connector.FaultRateLimited, connector.FaultCredits,
	connector.FaultKey, connector.FaultBlocked,
	connector.FaultNumber, connector.FaultRequest,
}
