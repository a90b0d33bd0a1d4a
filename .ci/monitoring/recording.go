package main

import (
	"bufio"
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

// sample is what an instance shows at one moment, by metric and labels as they stand on the page.
type sample struct {
	at     time.Time
	values map[string]float64
}

// String lists what is not 0 and belongs to the connector's work.
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

// recording is what an instance shows before a failure, when it has noticed it, and a while later. Where nothing answers after the
// failure there is only the first.
type recording struct{ before, noticed, later *sample }

// calm is how many minutes of the two hours all was well, and failing how many follow.
const calm, failing = 10, 110

// layOut writes two hours of each series for promtool, a value a minute: as before the failure, and then as it left them.
// Counters go on at the rate at which they were seen to grow; gauges stay; times move with the clock, which begins at 0 there: what never was lies long before.
func (r *recording) layOut() string {
	series := map[string]string{`up{job="twochat-connector",namespace="whatsapp",instance="1"}`: run(1, 0, calm) + run(1, 0, failing)}
	last := r.later
	if last == nil {
		last = r.before
		series[`up{job="twochat-connector",namespace="whatsapp",instance="1"}`] = run(1, 0, calm) + run(0, 0, failing)
	}
	for name := range last.values {
		metric, labels, labelled := strings.Cut(name, "{")
		if !strings.HasPrefix(metric, "twochat_connector_") {
			continue
		}
		before, after := fmt.Sprintf("_x%d ", calm), "stale"
		if value, ok := r.before.values[name]; ok {
			slope := 0.
			if isTime(metric) {
				if value != 0 {
					slope = 60
				}
				value -= unix(r.before.at)
			}
			before = run(value, slope, calm)
		}
		if r.later != nil {
			value, slope := r.later.values[name], 0.
			switch {
			case isCounter(metric):
				slope = (value - r.noticed.values[name]) / r.later.at.Sub(r.noticed.at).Minutes()
			case isTime(metric):
				if value > r.noticed.values[name] {
					slope = 60
				}
				value += calm*60 - unix(r.later.at)
			}
			after = run(value, slope, failing)
		}
		all := `job="twochat-connector",namespace="whatsapp",instance="1"`
		if labelled {
			all += "," + strings.TrimSuffix(labels, "}")
		}
		series[metric+"{"+all+"}"] = before + after
	}
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(series)) {
		fmt.Fprintf(&out, "      - { series: '%s', values: '%s' }\n", name, strings.TrimSpace(series[name]))
	}
	return out.String()
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

// run is so many minutes of values, in promtool's notation.
func run(value, slope float64, minutes int) string {
	return fmt.Sprintf("%s+%sx%d ", number(value), number(slope), minutes-1)
}

func number(v float64) string { return strconv.FormatFloat(math.Round(v*1000)/1000, 'f', -1, 64) }

func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func scrapeUntil(ctx context.Context, url, line string) (*sample, error) {
	name, value, _ := strings.Cut(line, " ")
	want, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return nil, err
	}
	var last *sample
	for {
		shown, err := scrape(ctx, url)
		if err == nil && shown.values[name] >= want {
			return shown, nil
		}
		if err == nil {
			last = shown
		}
		if wait(ctx, 200*time.Millisecond) != nil {
			return nil, fmt.Errorf("it never shows %s; last it shows %v", line, last)
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
