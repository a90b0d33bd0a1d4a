package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// monitoringQueries are the expressions of the alerts and of the dashboard, by their places.
func monitoringQueries(t *testing.T) map[string]string {
	t.Helper()
	queries := map[string]string{}
	var rules struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	alerts, err := os.ReadFile("../../deploy/monitoring/alerts.yaml")
	if err == nil {
		err = yaml.Unmarshal(alerts, &rules)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			queries["alert "+rule.Alert] = rule.Expr
		}
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ RefID, Expr string }
		}
		Templating struct {
			List []struct{ Name, Definition string }
		}
	}
	board, err := os.ReadFile("../../deploy/monitoring/dashboard.json")
	if err == nil {
		err = json.Unmarshal(board, &dashboard)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			queries["panel "+panel.Title+" "+target.RefID] = target.Expr
		}
	}
	for _, variable := range dashboard.Templating.List {
		queries["variable "+variable.Name] = variable.Definition
	}
	return queries
}

// shownLabels are the label values of each metric that a running instance shows, including all states, outcomes and
// results.
func shownLabels(t *testing.T) map[string]map[string][]string {
	t.Helper()
	_, url := fakeAPI(t, twochattest.Options{History: 120})
	r := start(t, "run", "--config", configure(t, url, "file: { path: "+filepath.Join(t.TempDir(), "events.jsonl")+" }"))
	admin := r.admin()
	var text string
	until(t, "a state", func() bool {
		_, text = get(t, admin+"/metrics")
		return strings.Contains(text, "\ntwochat_connector_stream_state{")
	})
	shown := map[string]map[string][]string{}
	for _, line := range regexp.MustCompile(`(?m)^(\w+)(?:\{(.*)\})? `).FindAllStringSubmatch(text, -1) {
		labels := shown[line[1]]
		if labels == nil {
			labels = map[string][]string{}
			shown[line[1]] = labels
		}
		for _, label := range regexp.MustCompile(`(\w+)="([^"]*)"`).FindAllStringSubmatch(line[2], -1) {
			labels[label[1]] = append(labels[label[1]], label[2])
		}
	}
	return shown
}

// A running instance shows whatever alerts and panels select. If a state were renamed, an alert on its old name would
// never fire.
func TestMonitoring_Labels(t *testing.T) {
	shown := shownLabels(t)
	// Labels that Prometheus adds to every series, and the one for several accounts.
	added := []string{"namespace", "job", "instance", "account"}
	values, groups := 0, 0
	for where, query := range monitoringQueries(t) {
		var labels []string
		for _, selector := range regexp.MustCompile(`\b([a-z][a-z_0-9]+)(?:\{([^}]*)\})?`).FindAllStringSubmatch(query, -1) {
			metric, isMetric := shown[selector[1]]
			if strings.HasPrefix(selector[1], "twochat_connector_") && !isMetric {
				t.Errorf("%s: an instance does not show %s", where, selector[1])
			}
			for label := range metric {
				labels = append(labels, label)
			}
			for _, matcher := range regexp.MustCompile(`(\w+)(=~|!~|!=|=)"([^"]*)"`).FindAllStringSubmatch(selector[2], -1) {
				if strings.HasPrefix(matcher[3], "$") || slices.Contains(added, matcher[1]) {
					continue
				}
				for _, value := range strings.Split(matcher[3], "|") {
					values++
					if !slices.Contains(metric[matcher[1]], value) {
						t.Errorf("%s: %s has no %s %q; it has %q", where, selector[1], matcher[1], value, metric[matcher[1]])
					}
				}
			}
		}
		for _, group := range regexp.MustCompile(`\b(?:by|on) \(([^)]*)\)`).FindAllStringSubmatch(query, -1) {
			for _, label := range strings.Split(group[1], ", ") {
				groups++
				if !slices.Contains(labels, label) && !slices.Contains(added, label) {
					t.Errorf("%s: nothing in it has a label %s", where, label)
				}
			}
		}
	}
	if values < 20 || groups < 60 {
		t.Errorf("looked at %d values and %d groups only", values, groups)
	}
}
