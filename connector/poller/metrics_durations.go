package poller

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// durationBounds are the upper bounds of the buckets in which durations are counted, in seconds.
var durationBounds = [...]float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}

// durations is a histogram: the count of each bucket, the last one for durations above all bounds, and their sum in
// seconds.
type durations struct {
	counts [len(durationBounds) + 1]uint64
	sum    float64
	// exemplars are the newest traced duration of each bucket; nil if none was traced. The array is replaced rather than
	// changed, so that a scrape may read it while durations are counted.
	exemplars *[len(durationBounds) + 1]exemplar
}

// exemplar is a duration whose trace can be looked at. The zero value is none.
type exemplar struct {
	trace   string
	seconds float64
	at      time.Time
}

// observe counts a duration, with the id of its trace or "".
func (d *durations) observe(took time.Duration, trace string) {
	seconds := took.Seconds()
	i := 0
	for i < len(durationBounds) && seconds > durationBounds[i] {
		i++
	}
	d.counts[i]++
	d.sum += seconds
	if trace == "" {
		return
	}
	var exemplars [len(durationBounds) + 1]exemplar
	if d.exemplars != nil {
		exemplars = *d.exemplars
	}
	exemplars[i] = exemplar{trace, seconds, time.Now()}
	d.exemplars = &exemplars
}

// exemplar returns that of a bucket, or nil.
func (d *durations) exemplar(bucket int) *dto.Exemplar {
	if d.exemplars == nil || d.exemplars[bucket].trace == "" {
		return nil
	}
	e := d.exemplars[bucket]
	return &dto.Exemplar{
		Label: []*dto.LabelPair{label("trace_id", e.trace)}, Value: &e.seconds, Timestamp: timestamppb.New(e.at),
	}
}

// timedSeries is a histogram during a scrape.
type timedSeries struct {
	desc   *prometheus.Desc
	labels []*dto.LabelPair
	durations
}

// Desc implements prometheus.Metric.
func (s *timedSeries) Desc() *prometheus.Desc { return s.desc }

// Write implements prometheus.Metric.
func (s *timedSeries) Write(to *dto.Metric) error {
	var below uint64
	last := len(durationBounds)
	buckets := make([]*dto.Bucket, last, last+1)
	cumulative := make([]uint64, last)
	for i := range durationBounds {
		below += s.counts[i]
		cumulative[i] = below
		buckets[i] = &dto.Bucket{
			UpperBound: &durationBounds[i], CumulativeCount: &cumulative[i], Exemplar: s.exemplar(i),
		}
	}
	count := below + s.counts[last]
	// The bucket above all bounds is implied, unless it has an exemplar.
	if above := s.exemplar(last); above != nil {
		infinity := math.Inf(1)
		buckets = append(buckets, &dto.Bucket{UpperBound: &infinity, CumulativeCount: &count, Exemplar: above})
	}
	to.Label = s.labels
	to.Histogram = &dto.Histogram{SampleCount: &count, SampleSum: &s.sum, Bucket: buckets}
	return nil
}
