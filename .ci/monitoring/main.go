// Command monitoring checks the alert rules and the dashboard's panels against real failures. The built connector runs
// into each failure while a Prometheus scrapes it. No rule and no panel may fail, and each panel has to show something.
// The scraped values are then extended over two hours, and promtool tells which alerts fire.
//
//	go run ./.ci/monitoring CONNECTOR NATS-SERVER             all failures
//	go run ./.ci/monitoring CONNECTOR NATS-SERVER "dead"      those with this in their name, alerts only
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// programs are the built programs, and the files that are checked.
type programs struct {
	connector, natsServer, rules, dashboard string
	ports                                   ports
	prometheus                              *prometheus
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := watch(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "monitoring:", err)
		os.Exit(1)
	}
}

func watch(ctx context.Context, args []string) error {
	if len(args) != 2 && len(args) != 3 {
		return errors.New("expected the connector's program and nats-server's")
	}
	whole := len(args) == 2
	if !whole {
		failures = slices.DeleteFunc(failures, func(f failure) bool { return !strings.Contains(f.name, args[2]) })
	}
	p := &programs{connector: args[0], natsServer: args[1]}
	var err error
	if p.rules, err = filepath.Abs("deploy/monitoring/alerts.yaml"); err != nil {
		return err
	}
	if p.dashboard, err = filepath.Abs("deploy/monitoring/dashboard.json"); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "monitoring")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	defer p.ports.release()

	admins := make([]string, len(failures))
	for i := range admins {
		if admins[i], err = p.ports.next(ctx); err != nil {
			return err
		}
	}
	port, err := p.ports.next(ctx)
	if err != nil {
		return err
	}
	p.prometheus, err = startPrometheus(ctx, scratch, p.rules, "127.0.0.1:"+port, admins)
	if err != nil {
		return err
	}
	defer p.prometheus.kill()
	recordings, errs := make([]recording, len(failures)), make([]error, len(failures))
	var all sync.WaitGroup
	for i, f := range failures {
		all.Go(func() {
			if recordings[i], errs[i] = p.record(ctx, filepath.Join(scratch, strconv.Itoa(i)), admins[i], f); errs[i] != nil {
				errs[i] = fmt.Errorf("%s: %w", f.name, errs[i])
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if !whole {
		return p.wantAlerts(ctx, scratch, recordings)
	}
	return errors.Join(p.prometheus.wantRules(ctx), p.prometheus.wantPanels(ctx, p.dashboard),
		p.wantAlerts(ctx, scratch, recordings), p.wantAllFired())
}

// wantAlerts lets promtool check which alerts each failure fires.
func (p *programs) wantAlerts(ctx context.Context, scratch string, recordings []recording) error {
	var tests strings.Builder
	fmt.Fprintf(&tests, "rule_files: [%q]\nevaluation_interval: 1m\ntests:\n", p.rules)
	for i, f := range failures {
		fmt.Fprintf(&tests, "  - name: %q\n    interval: 1m\n    input_series:\n%s", f.name, recordings[i].layOut())
		tests.WriteString("    promql_expr_test:\n      - expr: group by (alertname) (count_over_time(ALERTS{alertstate=\"firing\"}[2h]))\n        eval_time: 2h\n        exp_samples:")
		slices.Sort(f.fires)
		for _, alert := range f.fires {
			fmt.Fprintf(&tests, "\n          - { labels: '{alertname=%q}', value: 1 }", alert)
		}
		if len(f.fires) == 0 {
			tests.WriteString(" []")
		}
		tests.WriteString("\n")
	}
	file := filepath.Join(scratch, "tests.yaml")
	if err := os.WriteFile(file, []byte(tests.String()), 0o600); err != nil {
		return err
	}
	promtool := exec.CommandContext(ctx, "promtool", "test", "rules", file)
	promtool.Stdout, promtool.Stderr = os.Stdout, os.Stderr
	if err := promtool.Run(); err != nil {
		return fmt.Errorf("promtool: %w", err)
	}
	fmt.Printf("%d failures fire what they should\n", len(failures))
	return nil
}
