package traces

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// inMemory keeps traces in memory.
func inMemory(t *testing.T, sampler sdktrace.Sampler) (*Tracer, *tracetest.InMemoryExporter) {
	t.Helper()
	kept := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSampler(sampler), sdktrace.WithSyncer(kept))
	return &Tracer{provider: provider, spans: provider.Tracer("test"), sink: "file"}, kept
}

// said returns a span's attributes as text.
func said(span tracetest.SpanStub) string {
	var list []string
	for _, a := range span.Attributes {
		list = append(list, string(a.Key)+"="+a.Value.String())
	}
	return strings.Join(list, " ")
}

// scriptedLog answers commits with these errors in turn, and keeps what it was given.
type scriptedLog struct {
	connector.Log
	errs   []error
	events [][]connector.Event
}

func (l *scriptedLog) Commit(_ context.Context, events []connector.Event, _ []connector.Reject, _ connector.Checkpoint) error {
	l.events = append(l.events, slices.Clone(events))
	if len(l.errs) == 0 {
		return nil
	}
	err := l.errs[0]
	l.errs = l.errs[1:]
	return err
}

// The events of a commit name its span; those of the caller stay unchanged.
func TestLog_Traceparent(t *testing.T) {
	for name, sampler := range map[string]sdktrace.Sampler{"01": sdktrace.AlwaysSample(), "00": sdktrace.NeverSample()} {
		tracer, kept := inMemory(t, sampler)
		inner := &scriptedLog{}
		events := []connector.Event{{ID: "a", Sequence: 7}, {ID: "b", Sequence: 8}}
		ctx, id, endStep := tracer.Step(t.Context(), "shop", false)
		if err := tracer.Log("shop", inner).Commit(ctx, events, nil, connector.Checkpoint{Certified: 6}); err != nil {
			t.Fatal(err)
		}
		endStep(reader.Outcome{Delivered: 2}, nil)
		given := inner.events[0]
		parts := strings.Split(given[0].Traceparent, "-")
		if len(parts) != 4 || parts[0] != "00" || parts[3] != name || given[1].Traceparent != given[0].Traceparent {
			t.Errorf("the traceparents are %q, %q", given[0].Traceparent, given[1].Traceparent)
		}
		if events[0].Traceparent != "" {
			t.Error("the caller's event was changed")
		}
		spans := kept.GetSpans()
		if name == "00" {
			if len(spans) != 0 || id != "" {
				t.Errorf("%d spans are kept that were not sampled; exemplar %q", len(spans), id)
			}
			continue
		}
		commit, poll := spans[0], spans[1]
		if commit.Name != "commit" || commit.SpanContext.SpanID().String() != parts[2] || parts[1] != id ||
			commit.Parent.SpanID() != poll.SpanContext.SpanID() || poll.Parent.IsValid() {
			t.Errorf("traceparent %s of %s below %s", given[0].Traceparent, commit.Name, poll.Name)
		}
		for _, want := range []string{
			"twochat_connector.stream=shop", "twochat_connector.sink=file", "twochat_connector.events=2",
			"twochat_connector.sequence.first=7",
			"twochat_connector.sequence.last=8", "twochat_connector.certified=6", "twochat_connector.result=ok",
		} {
			if !strings.Contains(said(commit), want) {
				t.Errorf("the commit lacks %s: %s", want, said(commit))
			}
		}
		if !strings.Contains(said(poll), "twochat_connector.delivered=2") {
			t.Errorf("the poll says %s", said(poll))
		}
	}
}

// An event that is too large only because of its traceparent is committed without it, and not quarantined. One that is
// too large anyway is rejected as usual.
func TestLog_RejectedForItsTraceparent(t *testing.T) {
	tooLarge := &connector.Rejected{Reason: "too large"}
	for name, test := range map[string]struct {
		errs []error
		want error
	}{
		"with it":    {[]error{tooLarge}, nil},
		"without it": {[]error{tooLarge, tooLarge}, tooLarge},
	} {
		tracer, _ := inMemory(t, sdktrace.AlwaysSample())
		inner := &scriptedLog{errs: test.errs}
		err := tracer.Log("shop", inner).Commit(t.Context(), []connector.Event{{ID: "a", Sequence: 1}}, nil, connector.Checkpoint{})
		if !errors.Is(err, test.want) || len(inner.events) != 2 || inner.events[0][0].Traceparent == "" ||
			inner.events[1][0].Traceparent != "" {
			t.Errorf("too large %s: %v after %v", name, err, inner.events)
		}
	}
}

type failingPages struct{ err error }

func (f failingPages) Page(context.Context, connector.Stream, int, connector.Fingerprint) (connector.Page, error) {
	return connector.Page{}, f.err
}

// Spans describe a failure by a fixed word, as error texts may quote anything.
func TestSpans_QuoteNoError(t *testing.T) {
	secret := errors.New("canary +595981048477")
	for _, test := range []struct {
		err  error
		page string
	}{
		{
			&connector.PageError{Fault: connector.FaultCredits, Status: 402, Err: secret},
			"credits http.response.status_code=402",
		},
		{context.Canceled, "stopped"},
	} {
		tracer, kept := inMemory(t, sdktrace.AlwaysSample())
		stream := connector.Stream{Name: "shop", Number: "+595981048477", Remote: "+595981111111"}
		_, err := tracer.Pages(failingPages{test.err}).Page(t.Context(), stream, 3, "")
		if !errors.Is(err, test.err) {
			t.Errorf("the error becomes %v", err)
		}
		got := said(kept.GetSpans()[0])
		for word := range strings.FieldsSeq(test.page) {
			if !strings.Contains(got, word) {
				t.Errorf("the span lacks %s: %s", word, got)
			}
		}
	}
	for err, want := range map[error]string{
		nil: "ok", connector.ErrFenced: "fenced", connector.ErrNotNow: "not_now",
		&connector.Rejected{Reason: "canary"}: "rejected",
		&connector.Refusal{Thing: "canary"}:   "refused", secret: "unclear", reader.ErrMoved: "moved",
		reader.ErrStalled: "stalled", reader.ErrPollDue: "poll_due", &connector.PageError{Fault: connector.FaultKey, Err: secret}: "key",
	} {
		tracer, kept := inMemory(t, sdktrace.AlwaysSample())
		_, _, endStep := tracer.Step(t.Context(), "shop", true)
		endStep(reader.Outcome{}, err)
		span := kept.GetSpans()[0]
		if got := said(span); !strings.HasSuffix(got, "twochat_connector.result="+want) || span.Name != "sweep" ||
			strings.Contains(got+span.Status.Description, "canary") {
			t.Errorf("%v: %s %+v", err, got, span.Status)
		}
	}
}
