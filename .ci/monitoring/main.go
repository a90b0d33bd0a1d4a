// Command monitoring makes the alert rules fire by real failures: it lets the built connector run into each of them, scrapes what it shows,
// lays that out over two hours, and has promtool say which alerts fire.
//
//	go run ./.ci/monitoring CONNECTOR NATS-SERVER
//
// Counters go on at the rate at which they were seen to grow; gauges stay; times move with the clock.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// failure is something that goes wrong, and the alerts that it fires within two hours.
type failure struct {
	name   string
	happen func(*stage) error
	// shows is a line of the metrics that says that it was noticed.
	shows string
	fires []string
}

var failures = []failure{
	{"nothing is wrong", func(*stage) error { return nil }, `twochat_connector_stream_state{state="live",stream="shop"} 1`, nil},
	{
		"wrong key", func(s *stage) error { s.fake.SetKey("another"); return nil }, `twochat_connector_stream_state{state="no_source",stream="shop"} 1`,
		[]string{"TwochatConnectorNothingArrives", "TwochatConnectorSourceDown"},
	},
	{
		"credits spent", func(s *stage) error { s.fake.SetCredits(1); return nil }, `twochat_connector_stream_state{state="no_source",stream="shop"} 1`,
		[]string{"TwochatConnectorNothingArrives", "TwochatConnectorSourceDown"},
	},
	{
		// The account says so when it is asked, which is at the start.
		"budget spent, and stop", func(s *stage) error { s.fake.Consume(1_000_000); return s.again() }, `twochat_connector_stream_state{state="spent",stream="shop"} 1`,
		[]string{"TwochatConnectorCreditsLow", "TwochatConnectorNothingArrives", "TwochatConnectorSpent"},
	},
	{
		"dead broker", func(s *stage) error { s.nats.kill(); s.fake.Insert("", 5); return nil }, `twochat_connector_stream_state{state="no_sink",stream="shop"} 1`,
		[]string{"TwochatConnectorNothingArrives", "TwochatConnectorSinkDown"},
	},
	{
		// Its metrics alone are laid out, so that nothing seems to arrive; the other copy's would say that all is well.
		"overtaken by a second copy", func(s *stage) error { return s.second() }, `twochat_connector_commits_total{outcome="fenced",stream="shop"} 1`,
		[]string{"TwochatConnectorNothingArrives"},
	},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "monitoring:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errors.New("expected the connector's program and nats-server's")
	}
	rules, err := filepath.Abs("deploy/monitoring/alerts.yaml")
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "monitoring")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	tests := fmt.Sprintf("rule_files: [%q]\nevaluation_interval: 1m\ntests:\n", rules)
	for i, f := range failures {
		series, err := record(ctx, args[0], args[1], filepath.Join(scratch, strconv.Itoa(i)), f)
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		tests += fmt.Sprintf("  - name: %q\n    interval: 1m\n    input_series:\n%s", f.name, series)
		tests += "    promql_expr_test:\n      - expr: count by (alertname) (count_over_time(ALERTS{alertstate=\"firing\"}[2h]))\n        eval_time: 2h\n        exp_samples:"
		slices.Sort(f.fires)
		if len(f.fires) == 0 {
			tests += " []\n"
			continue
		}
		for _, alert := range f.fires {
			tests += fmt.Sprintf("\n          - { labels: '{alertname=%q}', value: 1 }", alert)
		}
		tests += "\n"
	}
	file := filepath.Join(scratch, "tests.yaml")
	if err := os.WriteFile(file, []byte(tests), 0o600); err != nil {
		return err
	}
	promtool := exec.CommandContext(ctx, "promtool", "test", "rules", file)
	promtool.Stdout, promtool.Stderr = os.Stdout, os.Stderr
	if err := promtool.Run(); err != nil {
		_ = os.WriteFile(filepath.Join(os.TempDir(), "monitoring-tests.yaml"), []byte(tests), 0o600)
		return fmt.Errorf("promtool: %w", err)
	}
	fmt.Printf("%d failures fire what they should\n", len(failures))
	return nil
}

// stage is one connector with its fake 2Chat and its broker.
type stage struct {
	ctx       context.Context
	connector string
	folder    string
	config    string
	admin     string // the first copy's port
	fake      *twochattest.Fake
	nats      *process
	others    []*process
}

const apart = 15 * time.Second

// record lets a failure happen and returns the series that it shows.
func record(ctx context.Context, connector, natsServer, folder string, f failure) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	if err := os.Mkdir(folder, 0o700); err != nil {
		return "", err
	}
	fake := twochattest.New(twochattest.Options{Seed: 1, Key: "right", History: 500, RequestsPerMinute: 6000, Credits: 1_000_000})
	api, err := fake.Start()
	if err != nil {
		return "", err
	}
	defer api.Close()
	s := &stage{ctx: ctx, connector: connector, folder: folder, fake: fake}
	natsPort, adminPort := freePort(), freePort()
	if s.nats, err = begin(ctx, folder, "nats", natsServer, "-a", "127.0.0.1", "-p", natsPort, "-js", "-sd", filepath.Join(folder, "js")); err != nil {
		return "", err
	}
	defer s.nats.kill()
	s.config = fmt.Sprintf(`twochat: { base_url: %q, streams: [{ number: %q, name: shop }] }
start: beginning
poll: { min_interval: 1s, max_interval: 1s, requests_per_minute: 6000, monthly_credits: 1000000, when_spent: stop }
sink: { jetstream: { url: "nats://127.0.0.1:%s", create: true } }
log: { format: json }
admin: { listen: "127.0.0.1:%%s" }
`, api.URL, twochattest.DefaultNumber, natsPort)
	s.admin = adminPort
	if err := s.start(adminPort); err != nil {
		return "", err
	}
	defer func() {
		for _, other := range s.others {
			other.kill()
		}
	}()
	url := "http://127.0.0.1:" + adminPort + "/metrics"
	if _, err := scrapeUntil(ctx, url, `twochat_connector_stream_state{state="live",stream="shop"} 1`); err != nil {
		return "", err
	}
	if err := f.happen(s); err != nil {
		return "", err
	}
	first, err := scrapeUntil(ctx, url, f.shows)
	if err != nil {
		return "", err
	}
	began := time.Now()
	if err := wait(ctx, apart); err != nil {
		return "", err
	}
	second, err := scrape(ctx, url)
	if err != nil {
		return "", err
	}
	return layOut(first, second, time.Since(began)), nil
}

func (s *stage) start(port string) error {
	path := filepath.Join(s.folder, "config-"+port+".yaml")
	if err := os.WriteFile(path, fmt.Appendf(nil, s.config, port), 0o600); err != nil {
		return err
	}
	other, err := begin(s.ctx, s.folder, "connector-"+port, s.connector, "run", "--config", path)
	if err == nil {
		s.others = append(s.others, other)
	}
	return err
}

// again lets the first copy end, and starts it again where it was.
func (s *stage) again() error {
	s.others[0].kill()
	return s.start(s.admin)
}

// second starts another copy, and lets messages flow so that the first notices.
func (s *stage) second() error {
	if err := s.start(freePort()); err != nil {
		return err
	}
	for range 10 {
		if err := wait(s.ctx, time.Second); err != nil {
			return err
		}
		s.fake.Insert("", 1)
	}
	return nil
}

// layOut writes two hours of each series, a value a minute.
func layOut(first, second map[string]float64, between time.Duration) string {
	now := float64(time.Now().Unix())
	var out strings.Builder
	for _, name := range slices.Sorted(keys(second)) {
		metric, labels, labelled := strings.Cut(name, "{")
		if !strings.HasPrefix(metric, "twochat_connector_") {
			continue
		}
		value, slope := second[name], 0.
		switch {
		case strings.HasSuffix(metric, "_total"), strings.HasSuffix(metric, "_bucket"), strings.HasSuffix(metric, "_count"), strings.HasSuffix(metric, "_sum"):
			slope = (value - first[name]) / between.Minutes()
		case strings.HasSuffix(metric, "_timestamp_seconds") && value != 0:
			if value > first[name] {
				slope = 60
			}
			value -= now
		}
		all := `job="twochat-connector",namespace="whatsapp",instance="1"`
		if labelled {
			all += "," + strings.TrimSuffix(labels, "}")
		}
		fmt.Fprintf(&out, "      - { series: '%s{%s}', values: '%s' }\n", metric, all, points(value, slope))
	}
	return out.String()
}

func points(value, slope float64) string {
	if slope == 0 {
		return number(value) + "x120"
	}
	return number(value) + "+" + number(slope) + "x120"
}

func number(v float64) string { return strconv.FormatFloat(math.Round(v*1000)/1000, 'f', -1, 64) }

func keys(m map[string]float64) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func scrapeUntil(ctx context.Context, url, line string) (map[string]float64, error) {
	for {
		metrics, err := scrape(ctx, url)
		if err == nil {
			name, value, _ := strings.Cut(line, " ")
			if want, _ := strconv.ParseFloat(value, 64); metrics[name] >= want {
				return metrics, nil
			}
		}
		if wait(ctx, 200*time.Millisecond) != nil {
			return nil, fmt.Errorf("it never shows %s (%w)", line, err)
		}
	}
}

func scrape(ctx context.Context, url string) (map[string]float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	metrics := map[string]float64{}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		at := strings.LastIndexByte(lines.Text(), ' ')
		if at < 0 || strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		if value, err := strconv.ParseFloat(lines.Text()[at+1:], 64); err == nil {
			metrics[lines.Text()[:at]] = value
		}
	}
	return metrics, lines.Err()
}

type process struct{ command *exec.Cmd }

func begin(ctx context.Context, folder, name, program string, args ...string) (*process, error) {
	log, err := os.Create(filepath.Join(folder, name+".log"))
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, program, args...)
	command.Stdout, command.Stderr = io.Writer(log), io.Writer(log)
	command.Env = append(os.Environ(), "TWOCHAT_API_KEY=right")
	return &process{command}, command.Start()
}

func (p *process) kill() {
	if p.command.ProcessState == nil {
		_ = p.command.Process.Kill()
		_ = p.command.Wait()
	}
}

func freePort() string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "0"
	}
	defer listener.Close()
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
