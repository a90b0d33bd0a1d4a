package schema

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
)

// consumed is an event as a consumer reads it today. No name and no type in it may ever change.
type consumed struct {
	SpecVersion, ID, Source, Type, Subject, Time, DataContentType, DataSchema string

	PartitionKey, SentBy, RecordedTime, Sequence string

	Late bool
	Data json.RawMessage
}

// consumedRow is a row as a consumer reads it today.
type consumedRow struct {
	UUID, Direction, Kind, Item string

	SentBy      *string `json:"sent_by"`
	Text        *string
	MediaURL    *string `json:"media_url"`
	MediaMIME   *string `json:"media_mime"`
	Channel     *string
	Remote      *string
	Participant *string
	Group       *string
	QuotedUUID  *string `json:"quoted_uuid"`
	OccurredAt  *string `json:"occurred_at"`
	RecordedAt  string  `json:"recorded_at"`
}

// consume decodes as consumers do: an event may have attributes that they do not know.
func consume(t *testing.T, data []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
}

// events are one of each kind of message, and also one in a group and one that quotes.
func events(t *testing.T, rows bool) []connector.Event {
	t.Helper()
	shown, list := map[string]bool{}, []connector.Event{}
	as := messages(t, 700, rows, twochat.Privacy{})
	for i, m := range messages(t, 700, true, twochat.Privacy{}) {
		var row consumedRow
		consume(t, m.Data, &row)
		kind, special := row.Kind, false
		if row.Group != nil && row.Participant != nil {
			kind, special = kind+" in a group", true
		}
		if row.QuotedUUID != nil {
			kind, special = kind+" that quotes", true
		}
		if (row.Kind == "text" || !special) && !shown[kind] {
			shown[kind] = true
			event := connector.NewEvent(stream, as[i], settings, readAt, uint64(len(list)+1), len(list)%2 == 0)
			list = append(list, event)
		}
	}
	return list
}

// What consumers once got still decodes and is still valid, and they can read what is written today: one event of each
// kind of message, in each mode, with either kind of data.
func TestConsumers(t *testing.T) {
	by, now := published(t), compile(t, text(t, Event()))
	for _, mode := range []connector.Mode{connector.ModeStructured, connector.ModeBinary} {
		for _, data := range []string{"item", "row"} {
			name := string(mode) + "-" + data
			t.Run(name, func(t *testing.T) {
				today := events(t, data == "row")
				given := golden(t, name, func(out *json.Encoder) {
					for i := range today {
						if err := out.Encode(store(&today[i], mode)); err != nil {
							t.Fatal(err)
						}
					}
				})
				for i := range today {
					given = append(given, store(&today[i], mode))
				}
				if len(given) < 2*len(twochat.Kinds()) {
					t.Errorf("%d events only", len(given))
				}
				for _, s := range given {
					event := s.event(t)
					validate(t, by["event"], event)
					validate(t, now, event)
					var e consumed
					consume(t, event, &e)
					if e.ID == "" || e.Subject != e.PartitionKey || len(e.Sequence) != 20 || e.DataSchema != EventID ||
						e.RecordedTime != "2026-02-18T18:02:00.123456789Z" || e.Source != "//2chat.co/whatsapp/shop" {
						t.Errorf("%s", event)
					}
					if data == "row" {
						validate(t, by["row"], e.Data)
						var row consumedRow
						consume(t, e.Data, &row)
						if row.UUID != e.ID || row.RecordedAt != e.RecordedTime || !json.Valid([]byte(row.Item)) {
							t.Errorf("%s", event)
						}
					}
				}
			})
		}
	}
}

// Checkpoints and rejects are events by the schema, and a consumer that reads everything can tell them apart by type.
func TestConsumers_Envelopes(t *testing.T) {
	by := published(t)
	c := connector.Checkpoint{
		Version: connector.CheckpointVersion, Stream: stream.Name, SourceKey: key, Privacy: "hashed", Epoch: 3, Owner: "A",
		Written: readAt, Started: true, Sequence: 2, Certified: 1,
		Tail: connector.Keys{{1}, {2}}, Floor: connector.Keys{{3}},
		UncheckedEnd: &connector.UncheckedEnd{CheckedAt: readAt}, Accepting: &connector.Acceptance{Newer: readAt},
		Sink: json.RawMessage(`{"x":1}`), GroundTime: readAt,
		MonthBegun: readAt, TailLate: []int{1},
	}
	checkpoint, err := c.AppendJSON(nil, settings.TypePrefix)
	if err != nil {
		t.Fatal(err)
	}
	first := connector.Checkpoint{Version: connector.CheckpointVersion, Stream: "x", Written: readAt, Owner: "A"}
	plain, err := first.AppendJSON(nil, settings.TypePrefix)
	if err != nil {
		t.Fatal(err)
	}
	lines := [][]byte{checkpoint, plain}
	for _, raw := range []string{"7", "\xff\xfe", ""} {
		r := connector.Reject{Reason: "the item is no JSON object", Raw: []byte(raw), Length: 7, Recorded: readAt}
		r.Hash = strings.Repeat("0a", 32)
		line, err := r.AppendJSON(nil, stream, settings.TypePrefix)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	given := golden(t, "envelopes", func(out *json.Encoder) {
		for _, line := range lines {
			headers := map[string]string{"content-type": connector.StructuredType}
			if err := out.Encode(stored{headers, string(line)}); err != nil {
				t.Fatal(err)
			}
		}
	})
	for _, s := range given {
		lines = append(lines, s.event(t))
	}
	now := compile(t, text(t, Event()))
	for _, line := range lines {
		validate(t, by["event"], line)
		validate(t, now, line)
		var e consumed
		consume(t, line, &e)
		isCheckpoint := strings.HasSuffix(e.Type, connector.CheckpointType)
		if !isCheckpoint && !strings.HasSuffix(e.Type, connector.RejectType) {
			t.Errorf("%s", line)
		}
		if _, err := connector.ParseCheckpoint(line); isCheckpoint && err != nil {
			t.Errorf("%v: %s", err, line)
		}
	}
}

// golden reads what consumers once got, one event a line.
func golden(t *testing.T, name string, write func(*json.Encoder)) (given []stored) {
	t.Helper()
	path := "testdata/" + name + ".jsonl"
	if *update {
		var out bytes.Buffer
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		write(encoder)
		if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(content) {
		var s stored
		consume(t, line, &s)
		given = append(given, s)
	}
	return given
}
