package traces

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// Tracer makes spans of steps, requests and commits. It is safe for concurrent use.
//
// Spans name streams as the log does. They hold no number, chat, text, key or URL.
type Tracer struct {
	provider *sdktrace.TracerProvider
	spans    trace.Tracer
	sink     string
}

// Start begins tracing. Close ends it.
func Start(s Settings, sink, version string, logger *slog.Logger) (*Tracer, error) {
	// The library would print its errors, which quote variables, and offers no other place for them.
	otel.SetLogger(logr.Discard())
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
	sending, err := otlptrace.New(context.Background(), newClient(s))
	if err != nil {
		return nil, fmt.Errorf("start traces: %w", err)
	}
	about, err := resourceOf(s, version)
	if err != nil {
		return nil, err
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSampler(s.sampler), sdktrace.WithResource(about),
		sdktrace.WithBatcher(&exporter{SpanExporter: sending, logger: logger}),
	)
	return &Tracer{
		provider: provider, sink: sink,
		spans: provider.Tracer("github.com/twochat-connector/twochat-connector", trace.WithInstrumentationVersion(version)),
	}, nil
}

// resourceOf describes the process: by its name, version and instance, and what OTEL_RESOURCE_ATTRIBUTES adds.
func resourceOf(s Settings, version string) (*resource.Resource, error) {
	list := []attribute.KeyValue{
		attribute.String("service.name", s.name), attribute.String("service.version", version),
		attribute.String("service.instance.id", rand.Text()),
	}
	if s.resource != "" {
		more, err := headersOf(s.resource) // the same form
		if err != nil {
			return nil, wrongVariable("OTEL_RESOURCE_ATTRIBUTES", "name=value, with commas between several")
		}
		for name, value := range more {
			if name != "service.name" || s.name == serviceName { // OTEL_SERVICE_NAME takes precedence over it
				list = append(list, attribute.String(name, value))
			}
		}
	}
	about, err := resource.New(context.Background(), resource.WithTelemetrySDK(), resource.WithAttributes(list...))
	if err != nil {
		return nil, fmt.Errorf("start traces: %w", err)
	}
	return about, nil
}

// Close sends the remaining spans, within a time limit.
func (t *Tracer) Close(within time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // the exporter has logged what failed
}

// Step implements poller.Tracer.
func (t *Tracer) Step(ctx context.Context, stream string, sweep bool) (context.Context, string,
	func(reader.Outcome, error),
) {
	name := "poll"
	if sweep {
		name = "sweep"
	}
	ctx, span := t.spans.Start(ctx, name, trace.WithNewRoot(), trace.WithAttributes(streamKey.String(stream)))
	id := ""
	if span.SpanContext().IsSampled() {
		id = span.SpanContext().TraceID().String()
	}
	return ctx, id, func(out reader.Outcome, err error) {
		span.SetAttributes(
			attribute.Int("twochat_connector.pages", out.Pages), attribute.Int("twochat_connector.delivered", out.Delivered),
			attribute.Int("twochat_connector.late", out.Late), attribute.Int("twochat_connector.rejected", out.Rejected),
			attribute.Int("twochat_connector.held", out.Held), attribute.Bool("twochat_connector.unchanged", out.Unchanged),
			attribute.Bool("twochat_connector.rested", out.Rested),
		)
		end(ctx, span, stepResult(err), err)
	}
}

// The attributes that spans share.
const (
	streamKey = attribute.Key("twochat_connector.stream")
	resultKey = attribute.Key("twochat_connector.result")
)

// end ends a span with its result: a word of a closed set, as error texts may quote anything.
func end(ctx context.Context, span trace.Span, result string, err error) {
	span.SetAttributes(resultKey.String(result))
	if err != nil && ctx.Err() == nil {
		span.SetStatus(codes.Error, result)
	}
	span.End()
}
