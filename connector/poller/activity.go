package poller

import (
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// HoursKept is how many hours of a stream's activity are remembered.
const HoursKept = 24

// Activity is what a stream has done since this process started, apart from its state.
type Activity struct {
	// MessagesPerHour counts the messages delivered in each of the last hours of the clock, oldest first; the last hour is
	// in progress. nil if there were none.
	MessagesPerHour []uint32 `json:"messages_per_hour,omitempty"`
	// FailedCalls counts the pages that could not be read, by fault; nil if there were none.
	FailedCalls map[connector.PageFault]uint64 `json:"failed_calls,omitempty"`
	// FailedCommits counts the commits that the sink did not take, by outcome; nil if there were none.
	FailedCommits map[string]uint64 `json:"failed_commits,omitempty"`
}

// Activity returns what the stream has done. It is safe for concurrent use.
func (p *Poller) Activity(now time.Time) Activity {
	var a Activity
	p.record.mu.Lock()
	a.MessagesPerHour = p.record.hours.last(now)
	p.record.mu.Unlock()
	counts, _, _ := p.record.metrics.now()
	for i, n := range counts.requests {
		if of := requestOutcomes[i]; n > 0 && of != outcomeOK && of != outcomeUnchanged {
			count(&a.FailedCalls, connector.PageFault(of), n)
		}
	}
	for i, n := range counts.commits {
		if of := commitOutcomes[i]; n > 0 && of != outcomeOK {
			count(&a.FailedCommits, string(of), n)
		}
	}
	return a
}

// Add adds the activity of another stream.
func (a *Activity) Add(of Activity) {
	if len(of.MessagesPerHour) > 0 && a.MessagesPerHour == nil {
		a.MessagesPerHour = make([]uint32, HoursKept)
	}
	for i, n := range of.MessagesPerHour {
		a.MessagesPerHour[i] += n
	}
	for fault, n := range of.FailedCalls {
		count(&a.FailedCalls, fault, n)
	}
	for outcome, n := range of.FailedCommits {
		count(&a.FailedCommits, outcome, n)
	}
}

// count adds to a count. The map is made only when there is something to count.
func count[K comparable](counts *map[K]uint64, key K, n uint64) {
	if *counts == nil {
		*counts = map[K]uint64{}
	}
	(*counts)[key] += n
}

// hourlyCounts counts by hours of the clock, and forgets all but the newest.
type hourlyCounts struct {
	newest int64 // hours since 1970 of the newest count
	counts [HoursKept]uint32
}

func hourOf(t time.Time) int64 { return t.Unix() / int64(time.Hour/time.Second) }

// add counts n more at a time. A time before the newest hour, as after the clock was set back, counts for the newest
// hour.
func (h *hourlyCounts) add(at time.Time, n int) {
	h.forget(hourOf(at))
	h.counts[h.newest%HoursKept] += uint32(n)
}

// forget makes an hour the newest one, and clears the hours between.
func (h *hourlyCounts) forget(hour int64) {
	if hour-h.newest > HoursKept {
		h.newest = hour - HoursKept
	}
	for h.newest < hour {
		h.newest++
		h.counts[h.newest%HoursKept] = 0
	}
}

// last returns the counts of the last hours, oldest first, or nil if all are zero.
func (h *hourlyCounts) last(now time.Time) []uint32 {
	h.forget(hourOf(now))
	if h.counts == ([HoursKept]uint32{}) {
		return nil
	}
	list := make([]uint32, 0, HoursKept)
	for i := int64(1); i <= HoursKept; i++ {
		list = append(list, h.counts[(h.newest+i)%HoursKept])
	}
	return list
}

// CatchUp is the progress of a stream that is behind.
type CatchUp struct {
	// Since is when the catch-up began.
	Since time.Time `json:"since"`
	// Page is the page of the list that was read last.
	Page int `json:"page"`
	// Delivered is how many messages it has delivered. Total is about how many there are in all; 0 until it is known how
	// far down the list has to be read.
	Delivered uint64 `json:"delivered"`
	Total     uint64 `json:"total,omitempty"`
	// Measured is when the total became known. Before is how many of the messages had been delivered by then.
	Measured time.Time `json:"measured,omitzero"`
	Before   uint64    `json:"delivered_before,omitempty"`
}

// Share is the part that is done, from 0 to 1; 0 if it is not known.
func (c CatchUp) Share() float64 {
	if c.Total == 0 {
		return 0
	}
	return min(1, float64(c.Delivered)/float64(c.Total))
}

// Left is about how long the rest takes at the pace so far; 0 if it cannot be estimated.
func (c CatchUp) Left(now time.Time) time.Duration {
	if c.Total <= c.Delivered || c.Delivered <= c.Before || !now.After(c.Measured) {
		return 0
	}
	each := float64(now.Sub(c.Measured)) / float64(c.Delivered-c.Before)
	return time.Duration(each * float64(c.Total-c.Delivered))
}

// measure estimates the total once enough is known: the pages above the one at which walks begin, and the slice from
// there down to ground.
func (c *CatchUp) measure(startPage, slicePages, pageSize int, now time.Time) {
	if c.Since.IsZero() || startPage == 0 || c.Total > 0 {
		return
	}
	c.Total = c.Delivered + uint64((startPage+slicePages/2)*pageSize)
	c.Measured, c.Before = now, c.Delivered
}
