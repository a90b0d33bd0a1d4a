package connector

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// FuzzDecode decodes messages that anyone may have written: the result is a JSON object with the contents of the
// headers, and data is unchanged.
func FuzzDecode(f *testing.F) {
	f.Add("ce_subject", "a", "content-type", "application/json", []byte("{}"))
	f.Add("ce_sequence", "1", "Content-Type", "application/cloudevents+json; charset=utf-8", []byte(`{"a":1}`))
	f.Add("CE_late", "true", "ce_late", "false", []byte("1"))
	f.Add("ce_data", "\x7f", "ce_", "\xff\"\\", []byte(nil))
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2 string, data []byte) {
		headers := [][2]string{
			{"ce_specversion", "1.0"}, {"ce_id", "i"}, {"ce_source", "s"}, {"ce_type", "t"}, {name1, value1}, {name2, value2},
		}
		event, err := Binding{Prefix: "ce_"}.Decode(func(yield func(name, value string) bool) {
			for _, h := range headers {
				if !yield(h[0], h[1]) {
					return
				}
			}
		}, data)
		if err != nil {
			if strings.Contains(err.Error(), "\n") || len(err.Error()) > 100 {
				t.Fatalf("an error that may quote the message: %v", err)
			}
			return
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal(event, &members); err != nil {
			t.Fatalf("no JSON object: %v\n%s", err, event)
		}
		if bytes.Equal(event, data) {
			return // structured mode
		}
		end := append(append([]byte(`,"data":`), data...), '}')
		if string(members["id"]) != `"i"` || len(data) > 0 && !bytes.HasSuffix(event, end) {
			t.Fatalf("not what the message says: %s", event)
		}
		if late, ok := members["late"]; ok && string(late) != "true" && string(late) != "false" {
			t.Fatalf("late is %s", late)
		}
	})
}
