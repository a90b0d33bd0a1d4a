package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// prometheus is a server that scrapes every stage each second, with the failure's name as its namespace.
type prometheus struct {
	*process
	url   string
	began time.Time
}

func startPrometheus(ctx context.Context, folder, rules string, address string, ports []string) (*prometheus, error) {
	var targets strings.Builder
	for i, f := range failures {
		fmt.Fprintf(&targets, "      - { targets: [%q], labels: { namespace: %q } }\n", "127.0.0.1:"+ports[i], f.name)
	}
	config := filepath.Join(folder, "prometheus.yaml")
	text := fmt.Sprintf("global: { scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }\nrule_files: [%q]\nscrape_configs:\n  - job_name: twochat-connector\n    static_configs:\n%s", rules, &targets)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	server, err := begin(ctx, folder, "prometheus", "prometheus", "--config.file="+config, "--storage.tsdb.path="+
		filepath.Join(folder, "tsdb"),
		"--web.listen-address="+address, "--log.level=warn")
	if err != nil {
		return nil, err
	}
	p := &prometheus{server, "http://" + address, time.Now()}
	for range 100 {
		if err = p.ask(ctx, "/api/v1/status/buildinfo", nil, new(any)); err == nil || wait(ctx, 200*time.Millisecond) != nil {
			break
		}
	}
	if err != nil {
		p.kill()
		log, _ := os.ReadFile(filepath.Join(folder, "prometheus.log")) // it may be missing
		return nil, fmt.Errorf("prometheus does not start: %w: %s", err, log)
	}
	return p, nil
}

// ask sends a request to the API. data receives the answer's data.
func (p *prometheus) ask(ctx context.Context, path string, query url.Values, data any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer := struct {
		Status, Error string
		Warnings      []string
		Data          any
	}{Data: data}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Status != "success" || len(answer.Warnings) > 0 {
		return fmt.Errorf("%s %s %s", answer.Status, answer.Error, strings.Join(answer.Warnings, "; "))
	}
	return nil
}

// wantRules checks that every alert was evaluated on the scraped data without an error.
func (p *prometheus) wantRules(ctx context.Context) error {
	var rules struct {
		Groups []struct {
			Rules []struct {
				Name, Health, LastError string
			}
		}
	}
	if err := p.ask(ctx, "/api/v1/rules", nil, &rules); err != nil {
		return fmt.Errorf("rules: %w", err)
	}
	var errs []error
	evaluated := 0
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			evaluated++
			if rule.Health != "ok" {
				errs = append(errs, fmt.Errorf("%s is %s: %s", rule.Name, rule.Health, rule.LastError))
			}
		}
	}
	fmt.Printf("prometheus evaluates %d alerts\n", evaluated)
	if evaluated == 0 {
		errs = append(errs, errors.New("prometheus has no rules"))
	}
	return errors.Join(errs...)
}

// wantScraped waits until a stage was scraped, so that what happens afterwards shows as a change.
func (p *prometheus) wantScraped(ctx context.Context, namespace string) error {
	for {
		found, err := p.over(ctx, fmt.Sprintf("up{namespace=%q} == 1", namespace))
		if err == nil && len(found) > 0 {
			return nil
		}
		if wait(ctx, 500*time.Millisecond) != nil {
			return errors.Join(errors.New("prometheus does not scrape it"), err)
		}
	}
}

// series is a query's result over time.
type series struct {
	Metric map[string]string
	Values [][2]any
}

// over runs a query for each second since the start.
func (p *prometheus) over(ctx context.Context, query string) ([]series, error) {
	var answer struct{ Result []series }
	err := p.ask(ctx, "/api/v1/query_range", url.Values{
		"query": {query}, "step": {"1"}, "start": {number(unix(p.began))}, "end": {number(unix(time.Now()))},
	}, &answer)
	return answer.Result, err
}

// some reports whether a series has a value that is neither 0 nor missing.
func (s series) some() bool {
	for _, value := range s.Values {
		text, _ := value[1].(string)
		if v, err := strconv.ParseFloat(text, 64); err == nil && v != 0 && v == v {
			return true
		}
	}
	return false
}

// wantAllFired checks that each alert was fired by a failure.
func (p *programs) wantAllFired() error {
	var rules struct {
		Groups []struct{ Rules []struct{ Alert string } }
	}
	content, err := os.ReadFile(p.rules)
	if err == nil {
		err = yaml.Unmarshal(content, &rules)
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			if !slices.ContainsFunc(failures, func(f failure) bool { return slices.Contains(f.fires, rule.Alert) }) {
				errs = append(errs, fmt.Errorf("%s: no failure fires it", rule.Alert))
			}
		}
	}
	return errors.Join(errs...)
}
