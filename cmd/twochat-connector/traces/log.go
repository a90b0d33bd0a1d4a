package traces

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Log makes a span of each commit and each take-over of a stream, and gives the events of a commit its traceparent.
func (t *Tracer) Log(stream string, log connector.Log) connector.Log {
	return &tracedLog{log, stream, t}
}

type tracedLog struct {
	connector.Log
	stream string
	tracer *Tracer
}

// Acquire implements connector.Log.
func (l *tracedLog) Acquire(ctx context.Context) (connector.State, error) {
	ctx, span := l.start(ctx, "acquire", trace.SpanKindClient)
	state, err := l.Log.Acquire(ctx)
	if err == nil {
		span.SetAttributes(attribute.Int64("twochat_connector.sequence", int64(state.Checkpoint.Sequence)),
			attribute.Int64("twochat_connector.epoch", int64(state.Checkpoint.Epoch)))
	}
	end(ctx, span, commitResult(err), err)
	return state, err
}

// Commit implements connector.Log. The events are copied, as the sink may still hold the caller's from an earlier
// attempt.
func (l *tracedLog) Commit(ctx context.Context, events []connector.Event, rejects []connector.Reject,
	next connector.Checkpoint,
) error {
	ctx, span := l.start(ctx, "commit", trace.SpanKindProducer)
	span.SetAttributes(attribute.Int("twochat_connector.events", len(events)),
		attribute.Int("twochat_connector.rejects", len(rejects)),
		attribute.Int64("twochat_connector.certified", int64(next.Certified)))
	if len(events) > 0 {
		span.SetAttributes(attribute.Int64("twochat_connector.sequence.first", int64(events[0].Sequence)),
			attribute.Int64("twochat_connector.sequence.last", int64(events[len(events)-1].Sequence)))
	}
	traced := slices.Clone(events)
	parent := traceparent(span.SpanContext())
	for i := range traced {
		traced[i].Traceparent = parent
	}
	err := l.Log.Commit(ctx, traced, rejects, next)
	// An event that is only just too large must not be quarantined because it is traced.
	if rejected := (*connector.Rejected)(nil); errors.As(err, &rejected) {
		span.AddEvent("rejected with traceparent, committed without")
		err = l.Log.Commit(ctx, events, rejects, next)
	}
	end(ctx, span, commitResult(err), err)
	return err
}

func (l *tracedLog) start(ctx context.Context, name string, kind trace.SpanKind) (context.Context, trace.Span) {
	return l.tracer.spans.Start(ctx, name, trace.WithSpanKind(kind),
		trace.WithAttributes(streamKey.String(l.stream), attribute.String("twochat_connector.sink", l.tracer.sink)))
}

// traceparent formats a span as W3C Trace Context does.
func traceparent(span trace.SpanContext) string {
	flags := span.TraceFlags() & trace.FlagsSampled
	return fmt.Sprintf("00-%s-%s-%s", span.TraceID(), span.SpanID(), flags)
}
