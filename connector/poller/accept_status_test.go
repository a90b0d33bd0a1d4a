package poller

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/twochat-connector/twochat-connector/connector/connectortest"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// While held messages are being delivered, the status and a metric report it, with how many so far, and from which page
// of the list down nothing is left. Once that is done, neither it nor a horizon is reported any more.
func TestPoller_SaysHowFarHeldMessagesAreDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const held = 400
		rules := func(_ *pollerFixture, c *Config) {
			c.Reading.Rules.SlicePages, c.Reading.Rules.MinWindow, c.Reading.Rules.Capacity = 10, 40, 120
		}
		s := newPollerFixture(t, rules, connectortest.Newest(8, 1)...)
		pass(5 * time.Minute)
		s.list.Change(func() {
			s.list.Rows = nil
			for n := range held {
				s.list.Add(connectortest.At(connectortest.Message(5000+n), connectortest.Minute(n-100_000)))
			}
		})
		s.log.Mu.Lock()
		s.log.Erased = map[uint64]bool{1: true} // it does not remember everything that it delivered
		s.log.Mu.Unlock()
		s.stop()
		before := s
		s = newPollerFixture(t, func(s *pollerFixture, c *Config) {
			rules(s, c)
			s.list, s.log, c.Pages, c.Log = before.list, before.log, before.list, before.log
		})
		pass(time.Hour)
		if status := s.poller.Status(); !status.Horizon || status.Accepting != nil {
			t.Errorf("nothing is accepted without the word: %+v", status)
		}
		s.stop()

		var shown []reader.AcceptProgress
		before = s
		s = newPollerFixture(t, func(s *pollerFixture, c *Config) {
			rules(s, c)
			s.list, s.log, c.Pages, c.Log = before.list, before.log, before.list, before.log
			c.Reading.AcceptHistory = true
			s.list.Before = func(int, int) error {
				status := s.poller.Status()
				if status.Accepting == nil {
					return nil
				}
				if shown = append(shown, *status.Accepting); status.Horizon {
					t.Error("it says both that messages are held and that they are delivered")
				}
				s.poller.record.metrics.show(status)
				if got := allSeries(t, s.registry, "accepting")["accepting"]; got != 1 {
					t.Errorf("the metric says %v", got)
				}
				return nil
			}
		})
		pass(time.Hour)
		if status := s.poller.Status(); status.Accepting != nil || status.Horizon || status.Sequence != 8+held {
			t.Errorf("it is done: %+v", status)
		}
		if got := allSeries(t, s.registry, "accepting")["accepting"]; got != 0 {
			t.Errorf("the metric says %v once it is done", got)
		}
		s.stop()
		begun, last := false, reader.AcceptProgress{}
		for _, now := range shown {
			if now.Page == nil {
				begun = true
				continue
			}
			if last.Page != nil && (*now.Page > *last.Page || now.Delivered < last.Delivered) || now.Delivered == 0 {
				t.Errorf("after %d from page %d it says %d from page %d", last.Delivered, *last.Page, now.Delivered, *now.Page)
			}
			last = now
		}
		if !begun || last.Page == nil || last.Delivered < held/2 {
			t.Errorf("it showed no more than %+v", last)
		}
	})
}
