package connector

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
)

// A run that is larger than a commit may be is cut, oldest first; the certified sequence moves only with the last piece.
func TestReader_LimitsCutARun(t *testing.T) {
	data := len(message(11).Data)
	tests := []struct {
		name   string
		limits Limits
		want   string // sequence:certified of each commit
	}{
		{"whole", Limits{Messages: 9, Bytes: 1000}, "[12:12]"},
		{"by messages", Limits{Messages: 3, Bytes: 1000}, "[11:8 12:12]"},
		{"by bytes", Limits{Messages: 9, Bytes: 2 * data}, "[10:8 12:12]"},
		{"one larger than the limit goes alone", Limits{Messages: 9, Bytes: 1}, "[9:8 10:8 11:8 12:12]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := settledDesk(t, beginning, newest(8, 1)...)
			d.reading.Rules.Page, d.list.page = 8, 8 // all of it on page 0
			d.restart()
			d.log.limits, d.log.commits = test.limits, nil
			d.list.add(newest(12, 9)...)
			if out := d.poll(); !out.Rested || out.Delivered != 4 {
				t.Errorf("%+v", out)
			}
			var got []string
			for _, c := range d.log.commits {
				got = append(got, fmt.Sprintf("%d:%d", c.Sequence, c.Certified))
			}
			if fmt.Sprint(got) != test.want {
				t.Errorf("commits %v, want %s", got, test.want)
			}
			d.wantLog(ids(1, 12))
		})
	}
}

func TestBatch_Piece(t *testing.T) {
	events := func(sizes ...int) (list []pending) {
		for _, n := range sizes {
			list = append(list, pending{found: found{Message: &Message{Data: make([]byte, n)}}})
		}
		return list
	}
	rejects := func(sizes ...int) (list []Reject) {
		for _, n := range sizes {
			list = append(list, Reject{Raw: make([]byte, n)})
		}
		return list
	}
	tests := []struct {
		name            string
		batch           batch
		events, rejects int
	}{
		{"nothing", batch{}, 0, 0},
		{"all", batch{events: events(30, 30), rejects: rejects(30)}, 2, 1},
		{"rejects first", batch{events: events(30, 30), rejects: rejects(30, 30, 30)}, 0, 3},
		{"too many rejects", batch{events: events(1), rejects: rejects(1, 1, 1, 1, 1)}, 0, 4},
		{"heavy rejects", batch{events: events(1), rejects: rejects(90, 20)}, 0, 1},
		{"a heavy event waits", batch{events: events(30, 90), rejects: rejects(30)}, 1, 1},
		{"alone it goes", batch{events: events(900, 1)}, 1, 0},
		{"a heavy reject too", batch{rejects: rejects(900)}, 0, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			events, rejects := test.batch.piece(Limits{Messages: 4, Bytes: 100})
			if len(events) != test.events || len(rejects) != test.rejects {
				t.Errorf("%d events and %d rejects, want %d and %d", len(events), len(rejects), test.events, test.rejects)
			}
		})
	}
}

// A bad message goes to the quarantine in the same commit, takes no sequence, and the page goes on.
func TestReader_ABadMessageGoesToTheQuarantine(t *testing.T) {
	d := settledDesk(t, beginning, newest(4, 1)...)
	d.list.add(message(7), bad(6), message(5))
	commits := len(d.log.commits)
	d.poll()
	d.wantLog(ids(1, 5) + " m7")
	if len(d.log.commits) != commits+1 || len(d.log.rejects) != 1 {
		t.Fatalf("%d commits, %d rejects", len(d.log.commits)-commits, len(d.log.rejects))
	}
	r, want := d.log.rejects[0], bad(6)
	if r.Key != want.Key || r.Reason != want.Fault || !bytes.Equal(r.Raw, want.Data) || r.Length != len(want.Data) || r.Recorded.IsZero() {
		t.Errorf("%+v", r)
	}
	if c := d.log.checkpoint; c.Counters.Rejected != 1 || !slices.Contains(c.Rejects, want.Key) {
		t.Errorf("the checkpoint counts %d rejects", c.Counters.Rejected)
	}
	d.list.add(message(8))
	d.restart()
	d.settle(4)
	if len(d.log.rejects) != 1 {
		t.Errorf("after a restart %d rejects", len(d.log.rejects))
	}
}

// A known reject neither counts in a run of ground nor breaks it.
func TestReader_AKnownRejectIsNoGround(t *testing.T) {
	tests := []struct {
		name     string
		on       []Message // top of the list
		requests string
	}{
		{"it does not break a run", []Message{message(9), message(8), bad(70), message(7)}, "0"},
		{"it does not count", []Message{message(10), message(9), bad(70), message(8)}, "0 1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := settledDesk(t, beginning, newest(8, 1)...)
			rows := d.list.rows
			d.list.under(8, bad(70))
			d.settle(4)
			d.list.requests()
			last := slices.IndexFunc(rows, func(m Message) bool { return m.Key == test.on[3].Key })
			d.list.rows = slices.Concat(test.on, rows[last+1:])
			d.poll()
			d.wantRequests(test.requests)
			if len(d.log.rejects) != 1 {
				t.Errorf("%d rejects", len(d.log.rejects))
			}
		})
	}
}

// What the sink cannot store goes to the quarantine, and the rest goes on in the same poll.
func TestReader_WhatTheSinkRejectsGoesToTheQuarantine(t *testing.T) {
	d := settledDesk(t, beginning, newest(4, 1)...)
	large := map[Key]bool{message(6).Key: true, message(5).Key: true}
	d.log.answer = func(_ context.Context, events []Event) (bool, error) {
		for _, e := range events {
			if large[e.Key] {
				return false, &Rejected{e.Key, "too large"}
			}
		}
		return true, nil
	}
	d.list.add(newest(8, 5)...)
	if out := d.poll(); out.Delivered != 2 || out.Rejected != 2 {
		t.Errorf("%+v, want 2 delivered and 2 rejected", out)
	}
	d.wantLog(ids(1, 4) + " m7 m8")
	if len(d.log.rejects) != 2 || d.log.rejects[0].Reason != "too large" {
		t.Errorf("rejects %+v", d.log.rejects)
	}
	d.settle(4)
	d.wantLog(ids(1, 4) + " m7 m8")
}

// A reject that names no message of the batch mends nothing: it must not be tried for ever.
func TestReader_ARejectOfAnotherMessageEndsTheStep(t *testing.T) {
	d := settledDesk(t, beginning, newest(4, 1)...)
	d.list.add(message(5))
	d.log.answer = func(context.Context, []Event) (bool, error) { return false, &Rejected{nth(99), "too large"} }
	var rejected *Rejected
	if _, err := d.Poll(t.Context(), d.start); !errors.As(err, &rejected) {
		t.Errorf("poll: %v", err)
	}
}

// What the sink does not take now is committed again, as long as patience lasts, without a request in between.
func TestReader_NotNowIsCommittedAgain(t *testing.T) {
	for _, test := range []struct {
		name     string
		patience int
		want     string
		err      error
	}{
		{"patient", 5, ids(1, 5), nil},
		{"until patience ends", 4, ids(1, 4), ErrNotNow},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := settledDesk(t, beginning, newest(4, 1)...)
			d.reading.Patience = &patient{commits: test.patience}
			d.restart()
			d.list.add(message(5))
			busy := 5
			d.log.answer = func(context.Context, []Event) (bool, error) {
				if busy--; busy >= 0 {
					return false, ErrNotNow
				}
				return true, nil
			}
			d.list.requests()
			if _, err := d.Poll(t.Context(), d.start); !errors.Is(err, test.err) {
				t.Errorf("poll: %v, want %v", err, test.err)
			}
			d.wantRequests("0")
			d.wantLog(test.want)
		})
	}
}

func TestNewReject_KeepsTheHeadOfWhatIsLarge(t *testing.T) {
	f := found{Message: &Message{Data: bytes.Repeat([]byte("x"), QuarantineBytes+5)}}
	r := newReject(&f, "too large")
	if len(r.Raw) != QuarantineBytes || r.Length != QuarantineBytes+5 || len(r.Hash) != 64 {
		t.Errorf("%d bytes of %d, hash %s", len(r.Raw), r.Length, r.Hash)
	}
}

// Nothing is kept of a message of which the privacy settings let nothing be kept, but that it was there.
func TestNewReject_WithholdsWhatIsPrivate(t *testing.T) {
	data := []byte(`{"message":{"text":"secret"}}`)
	open := newReject(&found{Message: &Message{Data: data}}, "no id")
	withheld := newReject(&found{Message: &Message{Data: data, Withheld: true}}, "no id")
	if len(withheld.Raw) != 0 || withheld.Raw == nil || withheld.Length != len(data) || withheld.Hash != open.Hash || withheld.Reason != "no id" {
		t.Errorf("withheld: %+v", withheld)
	}
	event, err := withheld.AppendJSON(nil, Stream{Name: "a"}, "x")
	if err != nil || bytes.Contains(event, []byte("secret")) || bytes.Contains(event, []byte("c2VjcmV0")) {
		t.Errorf("%s, %v", event, err)
	}
}
