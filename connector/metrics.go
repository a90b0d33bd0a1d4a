package connector

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics are the connector's metrics. Labels are stream names and closed sets, never anything from a message.
type Metrics struct {
	requests       *prometheus.CounterVec
	walks          *prometheus.HistogramVec
	messages       *prometheus.CounterVec
	commits        *prometheus.HistogramVec
	commitOutcomes *prometheus.CounterVec
	state          *prometheus.GaugeVec
	lastGoodWalk   *prometheus.GaugeVec
	newest         *prometheus.GaugeVec
	ground         *prometheus.GaugeVec
	openEvents     *prometheus.GaugeVec
	openSince      *prometheus.GaugeVec
	startPage      *prometheus.GaugeVec
	interval       *prometheus.GaugeVec
	seen           *prometheus.GaugeVec
	sequence       *prometheus.GaugeVec
	moved          *prometheus.CounterVec
}

const (
	outcomeOK        = "ok"
	outcomeUnchanged = "unchanged"
	outcomeFenced    = "fenced"
	outcomeUnclear   = "unclear"
	outcomeNotNow    = "not_now"
	outcomeRejected  = "rejected"
)

// NewMetrics registers the metrics; a nil registerer leaves them unregistered.
func NewMetrics(registerer prometheus.Registerer) *Metrics {
	f := promauto.With(registerer)
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return f.NewCounterVec(prometheus.CounterOpts{Namespace: "twochat_connector", Name: name, Help: help}, labels)
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return f.NewGaugeVec(prometheus.GaugeOpts{Namespace: "twochat_connector", Name: name, Help: help}, []string{"stream"})
	}
	seconds := func(name, help string) *prometheus.HistogramVec {
		return f.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "twochat_connector", Name: name, Help: help,
			Buckets: []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		}, []string{"stream"})
	}
	return &Metrics{
		requests:       counter("requests_total", "Page requests by outcome; each one is a paid call.", "stream", "outcome"),
		walks:          seconds("walk_duration_seconds", "How long a walk took, with what it delivered."),
		messages:       counter("messages_total", "Messages by result: delivered, late (delivered too), rejected, held.", "stream", "result"),
		commits:        seconds("commit_duration_seconds", "How long a commit took in the sink."),
		commitOutcomes: counter("commits_total", "Commits by outcome.", "stream", "outcome"),
		state: f.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "twochat_connector", Name: "stream_state",
			Help: "1 for the state that a stream is in.",
		}, []string{"stream", "state"}),
		lastGoodWalk: gauge("last_good_walk_timestamp_seconds", "When page 0 was last read and all that it led to was in the sink."),
		newest:       gauge("newest_message_timestamp_seconds", "The time of the newest message listed, as the message says."),
		ground:       gauge("ground_timestamp_seconds", "Where certified ground lies in time: the median of its newest messages."),
		openEvents:   gauge("open_gap_events", "Events delivered that no second walk has certified yet."),
		openSince:    gauge("open_gap_since_timestamp_seconds", "Since when something is delivered but not certified; 0 where nothing is."),
		startPage:    gauge("backlog_page", "The page at which walks begin; above 0 a deep backlog is being worked off."),
		interval:     gauge("interval_seconds", "The poll interval in force."),
		seen:         gauge("seen_window_events", "Messages in the seen window."),
		sequence:     gauge("log_sequence", "The sequence of the newest event in the log."),
		moved:        counter("walks_moved_total", "Walks given up because the list moved by a page or more.", "stream"),
	}
}

// streamMetrics are the metrics of one stream, made ahead so that rates begin at zero.
type streamMetrics struct {
	m                               *Metrics
	stream                          string
	delivered, late, rejected, held prometheus.Counter
}

func (m *Metrics) of(stream string) *streamMetrics {
	for _, fault := range pageFaults {
		m.requests.WithLabelValues(stream, string(fault))
	}
	m.requests.WithLabelValues(stream, outcomeOK)
	m.requests.WithLabelValues(stream, outcomeUnchanged)
	for _, outcome := range []string{outcomeOK, outcomeFenced, outcomeUnclear, outcomeNotNow, outcomeRejected} {
		m.commitOutcomes.WithLabelValues(stream, outcome)
	}
	m.moved.WithLabelValues(stream)
	return &streamMetrics{
		m: m, stream: stream, delivered: m.messages.WithLabelValues(stream, "delivered"), late: m.messages.WithLabelValues(stream, "late"),
		rejected: m.messages.WithLabelValues(stream, "rejected"), held: m.messages.WithLabelValues(stream, "held"),
	}
}

func (s *streamMetrics) request(page Page, err error) {
	outcome := outcomeOK
	var fault *PageError
	switch {
	case errors.As(err, &fault):
		outcome = string(fault.Fault)
	case err != nil:
		return // the context ended
	case page.Unchanged:
		outcome = outcomeUnchanged
	}
	s.m.requests.WithLabelValues(s.stream, outcome).Inc()
}

func (s *streamMetrics) commit(took time.Duration, err error) {
	s.m.commits.WithLabelValues(s.stream).Observe(took.Seconds())
	outcome := outcomeUnclear
	var rejected *Rejected
	switch {
	case err == nil:
		outcome = outcomeOK
	case errors.Is(err, ErrFenced):
		outcome = outcomeFenced
	case errors.Is(err, ErrNotNow):
		outcome = outcomeNotNow
	case errors.As(err, &rejected):
		outcome = outcomeRejected
	}
	s.m.commitOutcomes.WithLabelValues(s.stream, outcome).Inc()
}

func (s *streamMetrics) step(out Outcome, took time.Duration) {
	s.m.walks.WithLabelValues(s.stream).Observe(took.Seconds())
	s.delivered.Add(float64(out.Delivered))
	s.late.Add(float64(out.Late))
	s.rejected.Add(float64(out.Rejected))
	s.held.Add(float64(out.Held))
}

// show sets the gauges from a status.
func (s *streamMetrics) show(status Status) {
	set := func(g *prometheus.GaugeVec, v float64) { g.WithLabelValues(s.stream).Set(v) }
	set(s.m.lastGoodWalk, unix(status.LastGoodWalk))
	set(s.m.newest, unix(status.NewestMessage))
	set(s.m.ground, unix(status.Ground))
	set(s.m.openEvents, float64(status.Open))
	set(s.m.openSince, unix(status.OpenSince))
	set(s.m.startPage, float64(status.BacklogPage))
	set(s.m.interval, status.Interval.Seconds())
	set(s.m.seen, float64(status.Seen))
	set(s.m.sequence, float64(status.Sequence))
	for _, state := range states {
		v := 0.
		if state == status.State {
			v = 1
		}
		s.m.state.WithLabelValues(s.stream, string(state)).Set(v)
	}
}

func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
