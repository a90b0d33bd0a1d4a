package pipeline

import (
	"strings"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// One message is spoken of as one.
func TestNotes_One(t *testing.T) {
	for n, want := range map[uint64]string{1: "it ", 2: "they "} {
		var s StreamReport
		s.Counters = connector.Counters{Held: n, Empty: n}
		s.Quarantined = n
		notes := s.Notes(time.Now())
		if len(notes) != 3 {
			t.Fatalf("%d notes", len(notes))
		}
		for _, note := range notes {
			if !strings.HasPrefix(note.Text, want) {
				t.Errorf("of %s: %s", note.What, note.Text)
			}
		}
	}
}
