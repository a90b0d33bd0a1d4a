package reader

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

// A run that is larger than a commit may be is divided, oldest first; the certified sequence moves only with the last
// chunk.
func TestReader_LimitsCutARun(t *testing.T) {
	data := len(connectortest.Message(11).Data)
	tests := []struct {
		name   string
		limits connector.Limits
		want   string // sequence:certified of each commit
	}{
		{"whole", connector.Limits{Messages: 9, Bytes: 1000}, "[12:12]"},
		{"by messages", connector.Limits{Messages: 3, Bytes: 1000}, "[11:8 12:12]"},
		{"by bytes", connector.Limits{Messages: 9, Bytes: 2 * data}, "[10:8 12:12]"},
		{"one larger than the limit goes alone", connector.Limits{Messages: 9, Bytes: 1}, "[9:8 10:8 11:8 12:12]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(8, 1)...)
			d.reading.Rules.Page, d.list.PageSize = 8, 8 // all of it on page 0
			d.restart()
			d.log.MaxCommit, d.log.Commits = test.limits, nil
			d.list.Add(connectortest.Newest(12, 9)...)
			if out := d.poll(); !out.Rested || out.Delivered != 4 {
				t.Errorf("%+v", out)
			}
			var got []string
			for _, c := range d.log.Commits {
				got = append(got, fmt.Sprintf("%d:%d", c.Sequence, c.Certified))
			}
			if fmt.Sprint(got) != test.want {
				t.Errorf("commits %v, want %s", got, test.want)
			}
			d.wantLog(connectortest.IDs(1, 12))
		})
	}
}

func TestBatch_Piece(t *testing.T) {
	events := func(sizes ...int) (list []pending) {
		for _, n := range sizes {
			list = append(list, pending{found: found{Message: &connector.Message{Data: make([]byte, n)}}})
		}
		return list
	}
	rejects := func(sizes ...int) (list []connector.Reject) {
		for _, n := range sizes {
			list = append(list, connector.Reject{Raw: make([]byte, n)})
		}
		return list
	}
	tests := []struct {
		name            string
		batch           delivery
		events, rejects int
	}{
		{"nothing", delivery{}, 0, 0},
		{"all", delivery{events: events(30, 30), rejects: rejects(30)}, 2, 1},
		{"rejects first", delivery{events: events(30, 30), rejects: rejects(30, 30, 30)}, 0, 3},
		{"too many rejects", delivery{events: events(1), rejects: rejects(1, 1, 1, 1, 1)}, 0, 4},
		{"heavy rejects", delivery{events: events(1), rejects: rejects(90, 20)}, 0, 1},
		{"a heavy event waits", delivery{events: events(30, 90), rejects: rejects(30)}, 1, 1},
		{"alone it goes", delivery{events: events(900, 1)}, 1, 0},
		{"a heavy reject too", delivery{rejects: rejects(900)}, 0, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			events, rejects := test.batch.chunk(connector.Limits{Messages: 4, Bytes: 100})
			if len(events) != test.events || len(rejects) != test.rejects {
				t.Errorf("%d events and %d rejects, want %d and %d", len(events), len(rejects), test.events, test.rejects)
			}
		})
	}
}

// A bad message goes to the quarantine in the same commit and takes no sequence, and the rest of the page is delivered.
func TestReader_ABadMessageGoesToTheQuarantine(t *testing.T) {
	d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(4, 1)...)
	d.list.Add(connectortest.Message(7), connectortest.Faulty(6), connectortest.Message(5))
	commits := len(d.log.Commits)
	d.poll()
	d.wantLog(connectortest.IDs(1, 5) + " m7")
	if len(d.log.Commits) != commits+1 || len(d.log.Rejects) != 1 {
		t.Fatalf("%d commits, %d rejects", len(d.log.Commits)-commits, len(d.log.Rejects))
	}
	r, want := d.log.Rejects[0], connectortest.Faulty(6)
	if r.Key != want.Key || r.Reason != want.Fault || !bytes.Equal(r.Raw, want.Data) || r.Length != len(want.Data) ||
		r.Recorded.IsZero() {
		t.Errorf("%+v", r)
	}
	if c := d.log.Checkpoint; c.Counters.Rejected != 1 || !slices.Contains(c.Rejects, want.Key) {
		t.Errorf("the checkpoint counts %d rejects", c.Counters.Rejected)
	}
	d.list.Add(connectortest.Message(8))
	d.restart()
	d.settle(4)
	if len(d.log.Rejects) != 1 {
		t.Errorf("after a restart %d rejects", len(d.log.Rejects))
	}
}

// A known reject neither counts in a run of ground nor interrupts it.
func TestReader_AKnownRejectIsNoGround(t *testing.T) {
	tests := []struct {
		name     string
		on       []connector.Message // the top of the list
		requests string
	}{
		{"it does not break a run", []connector.Message{
			connectortest.Message(9), connectortest.Message(8),
			connectortest.Faulty(70), connectortest.Message(7),
		}, "0"},
		{"it does not count", []connector.Message{
			connectortest.Message(10), connectortest.Message(9),
			connectortest.Faulty(70), connectortest.Message(8),
		}, "0 1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(8, 1)...)
			rows := d.list.Rows
			d.list.Under(8, connectortest.Faulty(70))
			d.settle(4)
			d.list.Requests()
			last := slices.IndexFunc(rows, func(m connector.Message) bool { return m.Key == test.on[3].Key })
			d.list.Rows = slices.Concat(test.on, rows[last+1:])
			d.poll()
			d.wantRequests(test.requests)
			if len(d.log.Rejects) != 1 {
				t.Errorf("%d rejects", len(d.log.Rejects))
			}
		})
	}
}

// What the sink cannot store goes to the quarantine, and the rest is delivered in the same poll.
func TestReader_WhatTheSinkRejectsGoesToTheQuarantine(t *testing.T) {
	d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(4, 1)...)
	large := map[connector.Key]bool{connectortest.Message(6).Key: true, connectortest.Message(5).Key: true}
	d.log.Answer = func(_ context.Context, events []connector.Event) (bool, error) {
		for _, e := range events {
			if large[e.Key] {
				return false, &connector.Rejected{Key: e.Key, Reason: "too large"}
			}
		}
		return true, nil
	}
	d.list.Add(connectortest.Newest(8, 5)...)
	if out := d.poll(); out.Delivered != 2 || out.Rejected != 2 {
		t.Errorf("%+v, want 2 delivered and 2 rejected", out)
	}
	d.wantLog(connectortest.IDs(1, 4) + " m7 m8")
	if len(d.log.Rejects) != 2 || d.log.Rejects[0].Reason != "too large" {
		t.Errorf("rejects %+v", d.log.Rejects)
	}
	d.settle(4)
	d.wantLog(connectortest.IDs(1, 4) + " m7 m8")
}

// If the log takes not even the quarantined item, the item is left out, once, so that the stream goes on. What else was
// rejected keeps its item, and the caller's rejects stay as they are.
func TestDelivery_ARejectThatIsTooLargeLosesItsItem(t *testing.T) {
	keep := connector.Reject{Key: connectortest.Key(1), Raw: []byte("one"), Length: 3}
	large := connector.Reject{Key: connectortest.Key(2), Raw: []byte("two"), Length: 3, Hash: "hash"}
	given := []connector.Reject{keep, large}
	b := delivery{rejects: given}
	rejected := &connector.Rejected{Key: large.Key, Reason: "too large"}
	if !b.reject(rejected) {
		t.Fatal("the reject is not committed without its item")
	}
	if got := b.rejects[1]; len(got.Raw) != 0 || got.Length != 3 || got.Hash != "hash" {
		t.Errorf("the reject became %+v", got)
	}
	if string(b.rejects[0].Raw) != "one" || string(given[1].Raw) != "two" {
		t.Errorf("other items changed: %q, %q", b.rejects[0].Raw, given[1].Raw)
	}
	if b.reject(rejected) {
		t.Error("a reject without an item is tried again")
	}
}

// A reject that names no message of the batch fixes nothing, and must not be tried forever.
func TestReader_ARejectOfAnotherMessageEndsTheStep(t *testing.T) {
	d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(4, 1)...)
	d.list.Add(connectortest.Message(5))
	d.log.Answer = func(context.Context, []connector.Event) (bool, error) {
		return false, &connector.Rejected{Key: connectortest.Key(99), Reason: "too large"}
	}
	var rejected *connector.Rejected
	if _, err := d.Poll(t.Context(), d.start); !errors.As(err, &rejected) {
		t.Errorf("poll: %v", err)
	}
}

// What the sink does not take now is committed again, as long as the retry policy decides so, without a request in
// between.
func TestReader_NotNowIsCommittedAgain(t *testing.T) {
	for _, test := range []struct {
		name  string
		tries int
		want  string
		err   error
	}{
		{"patient", 5, connectortest.IDs(1, 5), nil},
		{"until the policy gives up", 4, connectortest.IDs(1, 4), connector.ErrNotNow},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(4, 1)...)
			d.reading.Retry = &connectortest.TryAgain{Commits: test.tries}
			d.restart()
			d.list.Add(connectortest.Message(5))
			busy := 5
			d.log.Answer = func(context.Context, []connector.Event) (bool, error) {
				if busy--; busy >= 0 {
					return false, connector.ErrNotNow
				}
				return true, nil
			}
			d.list.Requests()
			if _, err := d.Poll(t.Context(), d.start); !errors.Is(err, test.err) {
				t.Errorf("poll: %v, want %v", err, test.err)
			}
			d.wantRequests("0")
			d.wantLog(test.want)
		})
	}
}
