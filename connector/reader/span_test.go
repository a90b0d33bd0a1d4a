package reader

import (
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

// pageOf makes a page of the messages from high down to low.
func pageOf(number, high, low int) connector.Page {
	return connector.Page{Number: number, Messages: connectortest.Newest(high, low)}
}

// Rule 7: a span is one slice only if its first page is at the place given by the rows that were met twice, with all
// following rows.
func TestSpan_standsAt(t *testing.T) {
	d := sweepDesk(t, 20)
	var s span
	for _, page := range []connector.Page{pageOf(0, 20, 17), pageOf(1, 17, 14), pageOf(2, 13, 10)} {
		if !s.add(&d.known, page) {
			t.Fatal("refused")
		}
	}
	if s.shift() != 1 {
		t.Errorf("sunk by %d rows, want 1", s.shift())
	}
	for _, test := range []struct {
		page connector.Page
		from int
		want bool
	}{
		{pageOf(0, 21, 18), 1, true},
		{pageOf(0, 20, 17), 1, false},
		{pageOf(0, 22, 19), 1, false},
		{pageOf(0, 21, 18), 4, false},
		{connector.Page{Messages: append(connectortest.Newest(21, 20), connectortest.Newest(18, 17)...)}, 1, false},
	} {
		if got := s.standsAt(test.page, test.from); got != test.want {
			t.Errorf("%s from %d: %t", test.page.Messages[0].UUID, test.from, got)
		}
	}
}

// Rule 7: if a page shows known rows again, other than those that ended the page before, the list moved by a page or
// more.
func TestSpan_refusesWhatStoodFurtherUp(t *testing.T) {
	d := sweepDesk(t, 20)
	for _, page := range []connector.Page{pageOf(1, 22, 19), pageOf(1, 24, 20)} {
		var s span
		s.add(&d.known, pageOf(0, 20, 17))
		if s.add(&d.known, page) {
			t.Errorf("page with %s was taken", page.Messages[0].UUID)
		}
	}
}
