package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
)

// wantPanels sends each query of the dashboard to Prometheus as Grafana does if all namespaces and streams are chosen.
// No query may fail, and each has to return a value other than 0 in one of the failures, with the labels that its
// legend names.
func (p *prometheus) wantPanels(ctx context.Context, path string) error {
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ RefID, Expr, LegendFormat string }
		}
		Templating struct {
			List []struct{ Name, Definition string }
		}
	}
	content, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(content, &board)
	}
	if err != nil {
		return err
	}
	var errs []error
	queries, asked := 0, ""
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			queries, asked = queries+1, asked+" "+target.Expr
			if err := p.wantShown(ctx, target.Expr, target.LegendFormat); err != nil {
				errs = append(errs, fmt.Errorf("panel %q, query %s: %w", panel.Title, target.RefID, err))
			}
		}
	}
	for _, variable := range board.Templating.List {
		if variable.Definition == "" {
			continue // the data source
		}
		queries++
		if err := p.wantChoice(ctx, variable.Definition); err != nil {
			errs = append(errs, fmt.Errorf("variable %s: %w", variable.Name, err))
		}
	}
	errs = append(errs, p.wantAllAsked(ctx, asked))
	fmt.Printf("prometheus answers %d queries of %d panels\n", queries, len(board.Panels))
	return errors.Join(errs...)
}

// wantAllAsked checks that some query uses each of the connector's metrics.
func (p *prometheus) wantAllAsked(ctx context.Context, asked string) error {
	var names []string
	if err := p.ask(ctx, "/api/v1/label/__name__/values", url.Values{"match[]": {`{__name__=~"twochat_connector_.+"}`}},
		&names); err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		if part := regexp.MustCompile(`_(sum|count)$`).ReplaceAllString(name, "_bucket"); !strings.Contains(asked, part) {
			errs = append(errs, fmt.Errorf("no panel shows %s", name))
		}
	}
	if len(names) == 0 {
		errs = append(errs, errors.New("the connector shows no metrics"))
	}
	return errors.Join(errs...)
}

// calmMetrics are 0 in every failure here: nobody has held messages delivered, and the API has no new members.
var calmMetrics = regexp.MustCompile(`twochat_connector_(accepting|unknown_members_total)\b`)

// chosen replaces the dashboard's variables in a query as if everything were chosen.
func chosen(query string) string {
	return strings.NewReplacer("$namespace", ".*", "$stream", ".*").Replace(query)
}

func (p *prometheus) wantShown(ctx context.Context, query, legend string) error {
	query = chosen(query)
	if strings.Contains(query, "$") {
		return errors.New("there is a variable in it that the dashboard does not have")
	}
	found, err := p.over(ctx, query)
	if err != nil {
		return err
	}
	shown := false
	for _, s := range found {
		shown = shown || s.some()
		for _, label := range regexp.MustCompile(`{{(\w+)}}`).FindAllStringSubmatch(legend, -1) {
			if label[1] == "account" {
				continue // only several accounts have names
			}
			if s.Metric[label[1]] == "" {
				return fmt.Errorf("its legend names %s, which its series do not have", label[1])
			}
		}
	}
	if !shown && !(len(found) > 0 && calmMetrics.MatchString(query)) {
		return fmt.Errorf("it shows nothing (%d series): %s", len(found), query)
	}
	return nil
}

// wantChoice checks that a variable offers values.
func (p *prometheus) wantChoice(ctx context.Context, definition string) error {
	parts := regexp.MustCompile(`^label_values\((.+), (\w+)\)$`).FindStringSubmatch(definition)
	if parts == nil {
		return fmt.Errorf("it is no label_values: %s", definition)
	}
	var values []string
	if err := p.ask(ctx, "/api/v1/label/"+parts[2]+"/values", url.Values{"match[]": {chosen(parts[1])}},
		&values); err != nil {
		return err
	}
	if len(values) == 0 {
		return errors.New("it offers nothing")
	}
	return nil
}
