package pipeline

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
)

// ShapeHint is what to do if 2Chat's answers have a different shape than is known.
const ShapeHint = "nothing is lost, as items are delivered unchanged; check whether your consumers read these members, " +
	"and report what `twochat-connector check --learn` prints"

// ShapeText describes the changes on one line.
func ShapeText(changes []twochat.ShapeChange) string {
	texts := make([]string, len(changes))
	for i, change := range changes {
		texts[i] = change.String()
	}
	return strings.Join(texts, "; ")
}

// watchedShape reads pages, and reports each change of their shape once.
type watchedShape struct {
	connector.Pages
	client *twochat.Client
	logger *slog.Logger
	told   atomic.Int64
}

// WatchShape returns the client's pages, and logs each change of their shape once.
func WatchShape(client *twochat.Client, logger *slog.Logger) connector.Pages {
	return &watchedShape{Pages: client, client: client, logger: logger}
}

// Page implements connector.Pages.
func (w *watchedShape) Page(ctx context.Context, s connector.Stream, number int,
	held connector.Fingerprint,
) (connector.Page, error) {
	page, err := w.Pages.Page(ctx, s, number, held)
	told, known := w.told.Load(), int64(w.client.ShapeChangeCount())
	// Pages are read in parallel: only one of the calls reports.
	if known > told && w.told.CompareAndSwap(told, known) {
		w.logger.Warn("2Chat's answers have a different shape than is known",
			"changes", ShapeText(w.client.ShapeChanges()[told:known]), "hint", ShapeHint)
	}
	return page, err
}

// ShapeMetrics count the changes of each kind.
func ShapeMetrics(changes func() []twochat.ShapeChange) []prometheus.Collector {
	var all []prometheus.Collector
	for _, kind := range twochat.ChangeKinds() {
		all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "twochat_connector", Name: "api_shape_changes",
			Help:        "Members of 2Chat's answers that differ from what is known, since the start, by kind of change.",
			ConstLabels: prometheus.Labels{"change": string(kind)},
		}, func() float64 {
			count := 0
			for _, change := range changes() {
				if change.Change == kind {
					count++
				}
			}
			return float64(count)
		}))
	}
	return all
}
