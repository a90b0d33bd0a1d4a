package traces

import (
	"context"
	"errors"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Pages makes a span of each request for a page.
func (t *Tracer) Pages(pages connector.Pages) connector.Pages { return &tracedPages{pages, t} }

type tracedPages struct {
	connector.Pages
	tracer *Tracer
}

// Page implements connector.Pages.
func (p *tracedPages) Page(ctx context.Context, s connector.Stream, number int, held connector.Fingerprint) (
	connector.Page, error,
) {
	ctx, span := p.tracer.spans.Start(ctx, "page", trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(streamKey.String(s.Name), attribute.Int("twochat_connector.page", number)))
	page, err := p.Pages.Page(ctx, s, number, held)
	status, result := http.StatusOK, "ok"
	var fault *connector.PageError
	switch {
	case errors.As(err, &fault):
		status, result = fault.Status, string(fault.Fault)
	case err != nil:
		status, result = 0, "stopped"
	case page.Unchanged:
		result = "unchanged"
	case page.Missing:
		status, result = http.StatusNotFound, "missing"
	}
	if status != 0 {
		span.SetAttributes(attribute.Int("http.response.status_code", status))
	}
	if err == nil {
		span.SetAttributes(attribute.Int("twochat_connector.messages", len(page.Messages)),
			attribute.Int("twochat_connector.bytes", page.Bytes))
	}
	end(ctx, span, result, err)
	return page, err
}
