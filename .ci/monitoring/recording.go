package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// sample is what an instance shows at one moment, by metric and labels as on the page.
type sample struct {
	at     time.Time
	values map[string]float64
}

// String lists the values of the connector's own metrics that are not 0.
func (s *sample) String() string {
	if s == nil {
		return "nothing"
	}
	var shown []string
	for _, name := range slices.Sorted(maps.Keys(s.values)) {
		if strings.HasPrefix(name, "twochat_connector_") && !strings.Contains(name, "_bucket") && s.values[name] != 0 {
			shown = append(shown, name+" "+number(s.values[name]))
		}
	}
	return strings.Join(shown, ", ")
}

// recording is what each instance shows, in the order in which they were started.
type recording []*shown

// shown is what an instance shows before a failure, when it was noticed, and a while later. An instance that starts
// with the failure has nothing before, and one that stops answering has only that.
type shown struct{ before, noticed, later *sample }

// In the first calm minutes of the two hours all is well. The failing minutes follow.
const calm, failing = 10, 110

// layOut writes two hours of each series for promtool, one value a minute: first as before the failure, then as the
// failure left them.
func (r recording) layOut() string {
	var out strings.Builder
	for i, s := range r {
		series := s.layOut(fmt.Sprintf(`job="twochat-connector",namespace="whatsapp",instance="%d"`, i+1))
		for _, name := range slices.Sorted(maps.Keys(series)) {
			fmt.Fprintf(&out, "      - { series: '%s', values: '%s' }\n", name, strings.TrimSpace(series[name]))
		}
	}
	return out.String()
}

// layOut does so for one instance, by series. Counters go on at the rate at which they were growing, gauges stay, and
// times move with the clock. promtool's clock begins at 0, so a time that never was is long before that.
func (s *shown) layOut(instance string) map[string]string {
	last, up := s.later, 1.
	if last == nil {
		last, up = s.before, 0
	}
	absent := fmt.Sprintf("_x%d ", calm)
	series := map[string]string{"up{" + instance + "}": run(1, 0, calm) + run(up, 0, failing)}
	if s.before == nil {
		series["up{"+instance+"}"] = absent + run(up, 0, failing)
	}
	for name := range last.values {
		metric, labels, labelled := strings.Cut(name, "{")
		if !strings.HasPrefix(metric, "twochat_connector_") {
			continue
		}
		if labelled {
			labels = "," + strings.TrimSuffix(labels, "}")
		}
		series[metric+"{"+instance+labels+"}"] = cmp.Or(s.calm(name, metric), absent) + s.failing(name, metric)
	}
	return series
}

// calm is a series before the failure, or empty if it was not shown.
func (s *shown) calm(name, metric string) string {
	if s.before == nil {
		return ""
	}
	value, ok := s.before.values[name]
	if !ok {
		return ""
	}
	slope := 0.
	if isTime(metric) {
		if value != 0 {
			slope = 60
		}
		value -= unix(s.before.at)
	}
	return run(value, slope, calm)
}

// failing is a series after the failure.
func (s *shown) failing(name, metric string) string {
	if s.later == nil {
		return "stale"
	}
	value, slope := s.later.values[name], 0.
	switch {
	case isCounter(metric):
		slope = (value - s.noticed.values[name]) / s.later.at.Sub(s.noticed.at).Minutes()
	case isTime(metric):
		if value > s.noticed.values[name] {
			slope = 60
		}
		value += calm*60 - unix(s.later.at)
	}
	return run(value, slope, failing)
}

func isTime(metric string) bool { return strings.HasSuffix(metric, "_timestamp_seconds") }

func isCounter(metric string) bool {
	for _, ending := range []string{"_total", "_bucket", "_count", "_sum"} {
		if strings.HasSuffix(metric, ending) {
			return true
		}
	}
	return false
}

// run is that many minutes of values, in promtool's notation.
func run(value, slope float64, minutes int) string {
	return fmt.Sprintf("%s+%sx%d ", number(value), number(slope), minutes-1)
}

func number(v float64) string { return strconv.FormatFloat(math.Round(v*1000)/1000, 'f', -1, 64) }

func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// scrapeUntil waits until the sum of all instances reaches a line's value, and returns what each of them shows.
func scrapeUntil(ctx context.Context, urls []string, line string) ([]*sample, error) {
	name, value, _ := strings.Cut(line, " ")
	want, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return nil, err
	}
	last := make([]*sample, len(urls))
	for {
		together, answered := 0., 0
		for i, url := range urls {
			if shown, err := scrape(ctx, url); err == nil {
				last[i], together, answered = shown, together+shown.values[name], answered+1
			}
		}
		if together >= want && answered == len(urls) {
			return last, nil
		}
		if wait(ctx, 200*time.Millisecond) != nil {
			return nil, fmt.Errorf("%s is never shown; last is %v", line, last)
		}
	}
}

func scrape(ctx context.Context, url string) (*sample, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	shown := &sample{time.Now(), map[string]float64{}}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		at := strings.LastIndexByte(lines.Text(), ' ')
		if at < 0 || strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		if value, err := strconv.ParseFloat(lines.Text()[at+1:], 64); err == nil {
			shown.values[lines.Text()[:at]] = value
		}
	}
	return shown, lines.Err()
}
