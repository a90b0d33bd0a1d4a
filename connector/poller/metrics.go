package poller

import (
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Metrics is the collector of the metrics of all streams. To save memory it holds only the counts of a stream, and
// makes its series, about forty, at each scrape. Labels are stream names and fixed sets of words, never anything from a
// message.
type Metrics struct {
	requests, walks, messages, commits, commitOutcomes, state, moved *prometheus.Desc
	gauges                                                           []gauge

	mu      sync.Mutex
	streams []*streamMetrics
}

var _ prometheus.Collector = (*Metrics)(nil)

// gauge is a metric that is derived from a stream's status.
type gauge struct {
	desc  *prometheus.Desc
	value func(*Status) float64
}

// NewMetrics returns the metrics, registered unless the registerer is nil.
func NewMetrics(registerer prometheus.Registerer) *Metrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("twochat_connector_"+name, help, append(labels, "stream"), nil)
	}
	m := &Metrics{
		requests: desc("requests_total", "Page requests by outcome; each one is a paid call.", "outcome"),
		walks:    desc("walk_duration_seconds", "How long a walk took, with the delivery of its messages."),
		messages: desc("messages_total",
			"Messages by result: delivered, late and empty (delivered too), rejected, suppressed (bad, and not quarantined again), held.", "result"),
		commits:        desc("commit_duration_seconds", "How long a commit took in the sink."),
		commitOutcomes: desc("commits_total", "Commits by outcome.", "outcome"),
		state:          desc("stream_state", "1 for the state that a stream is in.", "state"),
		moved:          desc("walks_moved_total", "Walks given up because the list moved by a page or more."),
	}
	for _, g := range []struct {
		name, help string
		value      func(*Status) float64
	}{
		{
			"last_successful_poll_timestamp_seconds", "When page 0 was last read and everything new was in the sink.",
			func(s *Status) float64 { return unix(s.LastSuccessfulPoll) },
		},
		{
			"newest_message_timestamp_seconds", "The newest listed message's own time.",
			func(s *Status) float64 { return unix(s.NewestMessage) },
		},
		{
			"confirmed_until_timestamp_seconds", "The time of certified ground: the median of its newest messages.",
			func(s *Status) float64 { return unix(s.ConfirmedUntil) },
		},
		{
			"next_attempt_timestamp_seconds", "When what failed is tried again; 0 while everything works.",
			func(s *Status) float64 { return unix(s.NextAttempt) },
		},
		{"unconfirmed_events", "Delivered events that no second walk has certified yet.", func(s *Status) float64 {
			return float64(s.Unconfirmed)
		}},
		{
			"unconfirmed_since_timestamp_seconds", "Since when delivered events are not certified; 0 if all are.",
			func(s *Status) float64 { return unix(s.UnconfirmedSince) },
		},
		{
			"backlog_page", "The page at which walks begin; above 0 while a deep backlog is read.",
			func(s *Status) float64 { return float64(s.BacklogPage) },
		},
		{"interval_seconds", "The current poll interval.", func(s *Status) float64 { return s.Interval.Seconds() }},
		{"seen_window_events", "Messages in the window.", func(s *Status) float64 { return float64(s.Seen) }},
		{
			"accepting", "1 while held messages are being delivered, as `run --accept-history` asks for.",
			func(s *Status) float64 { return one(s.Accepting != nil) },
		},
		{"log_sequence", "The sequence of the newest event in the log.", func(s *Status) float64 {
			return float64(s.Sequence)
		}},
	} {
		m.gauges = append(m.gauges, gauge{desc(g.name, g.help), g.value})
	}
	if registerer != nil {
		registerer.MustRegister(m)
	}
	return m
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range [...]*prometheus.Desc{
		m.requests, m.walks, m.messages, m.commits, m.commitOutcomes, m.state,
		m.moved,
	} {
		to <- d
	}
	for _, g := range m.gauges {
		to <- g.desc
	}
}

// Collect implements prometheus.Collector. A scrape holds all series at once, so they share what they can.
func (m *Metrics) Collect(to chan<- prometheus.Metric) {
	m.mu.Lock()
	streams := m.streams
	m.mu.Unlock()
	requests, commits, messages := labels("outcome", requestOutcomes[:]), labels("outcome", commitOutcomes[:]),
		labels("result", results[:])
	inState := labels("state", states[:])
	for _, s := range streams {
		counts, status, shown := s.now()
		stream := label("stream", s.stream)
		alone := []*dto.LabelPair{stream}
		send := func(desc *prometheus.Desc, kind dto.MetricType, value float64, labels ...*dto.LabelPair) {
			to <- &series{desc: desc, labels: labels, kind: kind, value: value}
		}
		for i, n := range counts.requests {
			send(m.requests, dto.MetricType_COUNTER, float64(n), requests[i], stream)
		}
		for i, n := range counts.messages {
			send(m.messages, dto.MetricType_COUNTER, float64(n), messages[i], stream)
		}
		for i, n := range counts.commits {
			send(m.commitOutcomes, dto.MetricType_COUNTER, float64(n), commits[i], stream)
		}
		send(m.moved, dto.MetricType_COUNTER, float64(counts.moved), alone...)
		to <- &timedSeries{m.walks, alone, counts.walked}
		to <- &timedSeries{m.commits, alone, counts.committed}
		if !shown {
			continue
		}
		for _, g := range m.gauges {
			send(g.desc, dto.MetricType_GAUGE, g.value(&status), alone...)
		}
		for i, state := range states {
			send(m.state, dto.MetricType_GAUGE, one(state == status.State), inState[i], stream)
		}
	}
}

// Remove drops a stream's series.
func (m *Metrics) Remove(stream string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	// A scrape may be reading the slice, so it is replaced.
	m.streams = slices.DeleteFunc(slices.Clone(m.streams), func(s *streamMetrics) bool { return s.stream == stream })
}

// of returns a stream's metrics, with all counts at zero, so that rates are correct from the start.
func (m *Metrics) of(stream string) *streamMetrics {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.streams {
		if s.stream == stream {
			return s
		}
	}
	s := &streamMetrics{stream: stream}
	m.streams = append(m.streams, s)
	return s
}

func label(name, value string) *dto.LabelPair { return &dto.LabelPair{Name: &name, Value: &value} }

func labels[T ~string](name string, values []T) []*dto.LabelPair {
	pairs := make([]*dto.LabelPair, len(values))
	for i, value := range values {
		pairs[i] = label(name, string(value))
	}
	return pairs
}

// series is a counter or a gauge during a scrape.
type series struct {
	desc   *prometheus.Desc
	labels []*dto.LabelPair // in the order of their names
	kind   dto.MetricType
	value  float64
}

// Desc implements prometheus.Metric.
func (s *series) Desc() *prometheus.Desc { return s.desc }

// Write implements prometheus.Metric.
func (s *series) Write(to *dto.Metric) error {
	to.Label = s.labels
	if s.kind == dto.MetricType_COUNTER {
		to.Counter = &dto.Counter{Value: &s.value}
	} else {
		to.Gauge = &dto.Gauge{Value: &s.value}
	}
	return nil
}

// one is the value of a gauge for true.
func one(so bool) float64 {
	if so {
		return 1
	}
	return 0
}

func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
