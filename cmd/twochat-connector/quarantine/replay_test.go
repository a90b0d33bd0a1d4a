package quarantine

import (
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

// A message that somebody delivered between the first look and the take-over is not delivered again.
func TestReplayed_LooksAgain(t *testing.T) {
	log := &connectortest.Log{T: t, Checkpoint: connector.Checkpoint{Started: true}}
	stream := connector.Stream{Name: "a", SourceKey: "k"}
	c := &config.Config{}
	c.Seen.Capacity = 100
	one := &replayed{
		source: pipeline.Source{Config: c}, claim: connector.Claim{Stream: stream},
		names: pipeline.Names{All: []string{"a"}},
	}
	for n := 1; n <= 3; n++ {
		m := connectortest.Message(n)
		one.items = append(one.items, &candidate{
			item: Item{ID: idPrefix + connector.HashToken(m.Key)}, message: m, outcome: Deliver,
		})
	}
	r := &Replay{config: c, logger: cli.QuietLogger(), sink: clitest.LogSink{Of: log, Events: &log.Events}}
	if err := one.lookFor(t.Context(), r.sink); err != nil || len(one.candidates()) != 3 {
		t.Fatalf("%v, %d candidates", err, len(one.candidates()))
	}
	log.Events = append(log.Events, connector.NewEvent(stream, connectortest.Message(2),
		connector.EventSettings{TypePrefix: "p"}, connectortest.Minute(2), 1, false))
	log.Checkpoint.Sequence = 1
	if err := r.deliverStream(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	if got, want := log.Text(), "m2 m1* m3*"; got != want {
		t.Errorf("the log has %s, want %s", got, want)
	}
	for i, want := range []Outcome{Delivered, InLog, Delivered} {
		if one.items[i].outcome != want {
			t.Errorf("item %d: %s, want %s", i, one.items[i].outcome, want)
		}
	}
	if one.items[2].sequence != 3 {
		t.Errorf("the last one has sequence %d", one.items[2].sequence)
	}
}

// A record of the quarantine is read as it was written, and a changed one is reported.
func TestParse(t *testing.T) {
	m := connector.Message{UUID: "x", Key: connector.MessageKey("x"), Data: []byte(`{"uuid":"x"}`)}
	reject := connector.NewReject(&m, "no reason", time.Unix(1790000000, 0).UTC())
	text, err := reject.AppendJSON(nil, connector.Stream{Name: "a"}, "p")
	if err != nil {
		t.Fatal(err)
	}
	item, ours := Parse(text)
	if !ours || item.Stream != "a" || item.Reason != "no reason" || string(item.Raw) != string(m.Data) || !item.whole() ||
		item.token() != connector.HashToken(m.Key) || !item.Recorded.Equal(reject.Recorded) {
		t.Errorf("%v, %+v", ours, item)
	}
	item.Raw[2] = 'U'
	if item.whole() {
		t.Error("changed bytes pass for what was put there")
	}
	for _, foreign := range []string{"", "null", `{"id":"reject-x"}`, `{"id":"x","source":"//2chat.co/whatsapp/a"}`} {
		if _, ours := Parse([]byte(foreign)); ours {
			t.Errorf("%s passes for one of ours", foreign)
		}
	}
}

// Items that do not fit into memory are left for the next run.
func TestReplay_Room(t *testing.T) {
	r := &Replay{room: 3}
	raw := []byte(`{"uuid":"x"}`)
	m := connector.Message{Data: raw}
	reject := connector.NewReject(&m, "r", time.Time{})
	got := r.judge(&replayed{}, Item{Raw: raw, Kept: len(raw), Length: len(raw), SHA256: reject.Hash})
	if got.outcome != LeftBehind {
		t.Errorf("%+v", got)
	}
}

// An item that was not kept whole is repaired from 2Chat, with a command that is not refused beside a running instance.
func TestReplayed_HintBesideAnInstance(t *testing.T) {
	c := candidate{outcome: NotKept, item: Item{Length: 5000, Kept: 100}}
	for beside, want := range map[bool]string{false: "audit --all --repair`", true: "audit --all --repair --take-over`"} {
		clitest.WantText(t, "hint", c.hint(beside), want)
	}
}
