package jetstream

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// failed is a batch of no messages that was not acknowledged.
func failed(log *Log, k *link) *failedCommit { return &failedCommit{log, k, &batchMessages{}} }

func TestOutcome(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	c := config(s.url())
	create(t, c)
	sink := openSink(t, c, connector.ModeStructured)
	log := openLog(t, sink, sinktest.Claim(stream, "one"))
	acquire(t, log)
	k, err := sink.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		cause error
		want  string
	}{
		{&apiError{503, 10077, "maximum bytes exceeded"}, "not now"},
		{&apiError{503, 10023, "insufficient resources"}, "not now"},
		{&apiError{500, 10047, "insufficient storage"}, "not now"},
		{&apiError{500, 10028, "insufficient memory"}, "not now"},
		{&apiError{400, 10002, "account limits"}, "not now"},
		{&apiError{429, 10210, "too many inflight"}, "not now"},
		{&apiError{429, 99999, "another 429"}, "not now"},
		{&apiError{503, 10008, "unavailable"}, "not now"},
		{&notSentError{errLost}, "not now"},
		{&apiError{400, 10201, "duplicate"}, "unclear"},
		{&apiError{400, 10176, "incomplete"}, "unclear"},
		{&apiError{400, 10071, "wrong last sequence: 5"}, "unclear"}, // the checkpoint there is our own
		{&apiError{400, 10164, "wrong last sequence"}, "unclear"},
		{&apiError{400, 10054, "too large"}, "unclear"}, // nothing of ours is there
		{&apiError{400, 99998, "something new"}, "unclear"},
		{errNoAnswer, "unclear"},
		{errNoResponders, "not now"},
		{errLost, "unclear"},
		{context.Canceled, "unclear"},
		{errors.New("the answer is not that of a batch"), "unclear"},
		{&apiError{404, 10059, "stream not found"}, "refusal"},
		{&apiError{400, 10174, "no batches"}, "refusal"},
		{&apiError{400, 10109, "sealed"}, "refusal"},
	} {
		log.acquired, log.fenced = true, false
		err := failed(log, k).outcome(t.Context(), row.cause)
		got := "unclear"
		var refusal *connector.Refusal
		var rejected *connector.Rejected
		switch {
		case err == nil:
			got = "done"
		case errors.Is(err, connector.ErrNotNow):
			got = "not now"
		case errors.Is(err, connector.ErrFenced):
			got = "fenced"
		case errors.As(err, &refusal):
			got = "refusal"
		case errors.As(err, &rejected):
			got = "rejected"
		}
		if got != row.want {
			t.Errorf("%v: %s (%v), want %s", row.cause, got, err, row.want)
		}
		if goesOn := got == "not now"; log.acquired != goesOn {
			t.Errorf("%v: may go on without Acquire: %v", row.cause, log.acquired)
		}
	}
	acquire(t, openLog(t, sink, sinktest.Claim(stream, "two")))
	log.acquired = true
	if err := failed(log, k).outcome(t.Context(), &apiError{400, 10071, ""}); !errors.Is(err,
		connector.ErrFenced) {
		t.Errorf("another owner's checkpoint: %v", err)
	}
}

func TestMarks(t *testing.T) {
	var m windowMarks
	for event := uint64(1); event <= 100_000; event += 10 {
		m = m.with(mark{Event: event, Stream: event * 3}).trimmed(event+9, 1_000)
	}
	if len(m) > marksInWindow+3 {
		t.Errorf("%d marks", len(m))
	}
	// The window begins at 99,001. The first mark is not above it, and not far below.
	if first := m.first(); first > 99_001 || first < 98_800 || m.start() != first*3 {
		t.Errorf("starts at event %d, stream %d", first, m.start())
	}
	if back := decodeMarks(m.encode()); len(back) != 1 || back[0] != m[0] {
		t.Errorf("%+v came back as %+v", m[0], back)
	}
	for _, raw := range []string{"", "{}", `{"window":1}`, "null", "[]"} {
		if got := decodeMarks([]byte(raw)); got.start() != 1 || got.first() != 1 {
			t.Errorf("%q: %+v", raw, got)
		}
	}
}

func TestAdopt(t *testing.T) {
	seen := func(sequence uint64, late bool) storedEvent {
		return storedEvent{
			connector.Seen{Key: connector.MessageKey(fmt.Sprint(sequence)), Sequence: sequence, Late: late},
			sequence * 2,
		}
	}
	c := connector.Checkpoint{Sequence: 2, Tail: connector.Keys{seen(1, false).Key, seen(2, false).Key}}
	got := adopt(c, storedEvents{seen(1, false), seen(2, false), seen(3, false), seen(4, true)})
	if got.Sequence != 4 || len(got.Tail) != 4 || len(got.TailLate) != 1 || got.TailLate[0] != 3 || len(c.Tail) != 2 {
		t.Errorf("%+v", got)
	}
	got = adopt(c, storedEvents{seen(2, false), seen(4, true)})
	if got.Sequence != 4 || len(got.Tail) != 1 || len(got.TailLate) != 1 || got.TailLate[0] != 0 {
		t.Errorf("over a gap: %+v", got)
	}
}

func TestNameOf(t *testing.T) {
	for _, name := range []string{"595981048477", "", "a.b", "=", "é", "a b*>", "%41"} {
		log := Log{}
		sink := Sink{config: Config{}.withDefaults()}
		log.checkpoint = sink.Log(connector.Claim{Stream: connector.Stream{Name: name}}).(*Log).checkpoint
		if got := nameOf(log.checkpoint); got != name {
			t.Errorf("%q came back as %q", name, got)
		}
	}
}
