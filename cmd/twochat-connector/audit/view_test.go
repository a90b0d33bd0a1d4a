package audit

import (
	"strings"
	"testing"
)

// One message is spoken of as one.
func TestStreamReport_SaysOne(t *testing.T) {
	s := StreamReport{Repair: &Repair{Restored: 1, First: 222, Last: 222}}
	s.Findings.Noted.Unfit = []Unfit{{}}
	if got, want := s.repaired(s.Repair), "Repair: 1 message restored, marked late, as #222."; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := strings.Join(s.noted(), "; "); got != "1 cannot become an event, and is not in the quarantine" {
		t.Errorf("%q", got)
	}
	s.Repair.Restored, s.Repair.Last = 3, 224
	if got := s.repaired(s.Repair); !strings.HasSuffix(got, "as #222 to #224.") {
		t.Errorf("%q", got)
	}
}
