package traces

import (
	"context"
	"log/slog"
	"sync/atomic"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// exporter passes spans on, and logs when that begins or ceases to fail. It returns no error, as the library would
// print each one.
type exporter struct {
	sdktrace.SpanExporter
	logger *slog.Logger
	broken atomic.Bool
}

// ExportSpans implements sdktrace.SpanExporter.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	switch broken := err != nil; {
	case e.broken.Swap(broken) == broken:
	case broken:
		e.logger.Warn("traces cannot be sent and are dropped until they can; delivery goes on", "cause", err,
			"hint", "check that an OTLP receiver for HTTP (port 4318 as a rule) listens at traces.endpoint or OTEL_EXPORTER_OTLP_ENDPOINT")
	default:
		e.logger.Info("traces are sent again")
	}
	return nil
}
