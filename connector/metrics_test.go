package connector

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
)

// series reads all series of a registry whose name begins so: name{labels} = value, sorted.
func series(t *testing.T, registry *prometheus.Registry, prefix string) map[string]float64 {
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
			found[strings.TrimSpace(name+" "+strings.Join(labels, " "))] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return found
}

func TestMetrics_NamesAreClean(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShift(t, nil, newest(8, 1)...)
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

// Rates need a zero to begin at.
func TestMetrics_CountersBeginAtZero(t *testing.T) {
	registry := prometheus.NewRegistry()
	NewMetrics(registry).of("a")
	got := series(t, registry, "")
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
		s := newShift(t, nil, newest(3, 1)...)
		pass(2 * time.Minute)
		outcomes := []error{ErrNotNow, errNoAnswer, &Rejected{message(5).Key, "too large"}}
		s.answer(func(context.Context, []Event) (bool, error) {
			if len(outcomes) == 0 {
				return true, nil
			}
			err := outcomes[0]
			outcomes = outcomes[1:]
			return false, err
		})
		s.list.change(func() {
			s.list.add(newest(5, 4)...)
			s.list.under(3, message(70))
			failed := 0
			s.list.before = func(int, int) error {
				if failed++; failed < 3 {
					return fault(FaultTransient, 0)
				}
				return nil
			}
		})
		pass(5 * time.Minute)
		s.wantLog("m1 m2 m3 m70* m4")
		got := series(t, s.registry, "")
		_, commits, _ := s.log.counts()
		for name, want := range map[string]float64{
			"requests_total transient": 2, "requests_total credits": 0, "messages_total delivered": 5, "messages_total late": 1, "messages_total rejected": 1,
			"messages_total held": 0, "commits_total not_now": 1, "commits_total unclear": 1, "commits_total rejected": 1, "commits_total fenced": 0,
			"stream_state live": 1, "stream_state no_sink": 0, "stream_state acquiring": 0, "log_sequence": 5, "open_gap_events": 0,
			"open_gap_since_timestamp_seconds": 0, "backlog_page": 0, "seen_window_events": 5, "newest_message_timestamp_seconds": unix(minute(5)),
			"commits_total ok": float64(commits),
		} {
			if got[name] != want {
				t.Errorf("%s is %v, want %v", name, got[name], want)
			}
		}
		if got["requests_total unchanged"] == 0 || got["requests_total ok"] == 0 || got["walk_duration_seconds"] == 0 || got["commit_duration_seconds"] == 0 {
			t.Errorf("nothing counted: %v", got)
		}
		status := s.poller.Status()
		if got["last_good_walk_timestamp_seconds"] != unix(status.LastGoodWalk) || got["ground_timestamp_seconds"] != unix(status.Ground) ||
			got["interval_seconds"] != status.Interval.Seconds() {
			t.Errorf("gauges are not the status: %v, %+v", got, status)
		}
		s.stop()
		if got := series(t, s.registry, "stream_state stopped"); len(got) > 1 {
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
		got := series(t, registry, "stream_state")
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
	m.of("a").request(Page{}, nil)
	m.of("b").request(Page{Unchanged: true}, nil)
	m.of("b").request(Page{}, fmt.Errorf("page: %w", fault(FaultKey, 0)))
	m.of("b").request(Page{}, context.Canceled) // not a request's outcome
	for name, want := range map[string]int{"ok": 1, "unchanged": 1, "key": 1, "transient": 0} {
		a, b := testutil.ToFloat64(m.requests.WithLabelValues("a", name)), testutil.ToFloat64(m.requests.WithLabelValues("b", name))
		if int(a+b) != want {
			t.Errorf("%s: %v + %v, want %d", name, a, b, want)
		}
	}
}
