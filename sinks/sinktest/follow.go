package sinktest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// followRules are the clauses of sinks.Sink's Follow.
var followRules = []rule{
	{name: "follow: gives the last ones and then each new one, events only", except: unlessPast, test: func(s *scene) {
		claim, beside := Claim("595981048477", "one"), Claim("support", "one")
		sink := s.open()
		log, other := s.log(sink, claim), s.log(sink, beside)
		events := Events(claim.Stream, 1, 20)
		c := s.commit(log, s.acquire(log).Checkpoint, events[:9], Reject(claim.Stream, 1))
		o := s.commit(other, s.acquire(other).Checkpoint, Events(beside.Stream, 1, 5))
		c = s.commit(log, c, events[9:12])
		o = s.commit(other, o, Events(beside.Stream, 6, 5))

		f := follow(s, s.open(), claim.Stream.Name, 5)
		wantFollowed(s, f, events[7:12])
		c = s.commit(log, c, events[12:15], Reject(claim.Stream, 2))
		s.commit(other, o, Events(beside.Stream, 11, 5))
		wantFollowed(s, f, events[12:15])
		s.commit(log, c, events[15:])
		wantFollowed(s, f, events[15:])
		f.end(s)

		f = follow(s, s.open(), "", 35)
		if got := len(f.take(s, 35)); got != 35 {
			s.Fatalf("%d events of all streams, want 35", got)
		}
		f.end(s)
		f = follow(s, s.open(), "nobody", 5)
		f.end(s)
	}},
	{name: "follow: since a time, and to the end only", except: unlessPast, test: func(s *scene) {
		claim, beside := Claim("595981048477", "one"), Claim("support", "one")
		sink := s.open()
		log, other := s.log(sink, claim), s.log(sink, beside)
		events := Events(claim.Stream, 1, 40)
		s.commit(log, s.acquire(log).Checkpoint, events, Reject(claim.Stream, 1))
		s.commit(other, s.acquire(other).Checkpoint, Events(beside.Stream, 1, 5))
		reader := s.open()
		ever := events[0].Recorded.Add(-time.Hour)
		wantWhole(s, reader, connector.FollowOptions{Stream: claim.Stream.Name, Since: ever, Once: true}, 40)
		wantWhole(s, reader, connector.FollowOptions{Since: ever, Once: true}, 45)
		wantWhole(s, reader, connector.FollowOptions{Stream: claim.Stream.Name, Last: 7, Once: true}, 7)
		wantWhole(s, reader, connector.FollowOptions{Stream: "nobody", Last: 7, Once: true}, 0)
		wantWhole(s, reader, connector.FollowOptions{Stream: "nobody", Since: ever, Once: true}, 0)
		wantWhole(s, reader, connector.FollowOptions{Since: time.Now().Add(time.Hour), Once: true}, 0)
		wantWhole(s, reader, connector.FollowOptions{Once: true}, 0)
	}},
	{name: "follow: what is no event takes no place among the newest", except: unlessIntrude, test: func(s *scene) {
		claim := Claim("595981048477", "one")
		log := s.log(s.open(), claim)
		s.commit(log, s.acquire(log).Checkpoint, Events(claim.Stream, 1, 5))
		for range 3 {
			s.storage.Intrude(s.T, claim.Stream.Name, []byte("hello"))
		}
		for _, last := range []int{1, 3, 9} {
			options := connector.FollowOptions{Stream: claim.Stream.Name, Last: last, Once: true}
			wantWhole(s, s.open(), options, min(last, 5))
		}
	}},
	{name: "follow: gives each new one, in structured mode", except: unlessFollow, test: func(s *scene) {
		claim, beside := Claim("595981048477", "one"), Claim("support", "one")
		sink := s.open()
		log, other := s.log(sink, claim), s.log(sink, beside)
		c, o := s.acquire(log).Checkpoint, s.acquire(other).Checkpoint
		f := follow(s, sink, claim.Stream.Name, 0)
		// Commits before this one show that it listens; which of them it received is not specified.
		ctx := s.context()
		for heard := false; !heard; {
			c = s.commit(log, c, Events(claim.Stream, c.Sequence+1, 1), Reject(claim.Stream, 1))
			o = s.commit(other, o, Events(beside.Stream, o.Sequence+1, 1))
			select {
			case event := <-f.events:
				heard = true
				for stored := Structured(s.T, event); stored.Sequence < c.Sequence; stored = f.take(s, 1)[0] {
				}
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
				s.Fatal("nothing was heard")
			}
		}
		events := Events(claim.Stream, c.Sequence+1, 12)
		s.commit(log, c, events, Reject(claim.Stream, 2))
		wantFollowed(s, f, events)
		f.end(s)
	}},
	{name: "follow: ends with the error of its caller", except: unlessFollow, test: func(s *scene) {
		claim := Claim("595981048477", "one")
		sink := s.open()
		log := s.log(sink, claim)
		c := s.acquire(log).Checkpoint
		c = s.commit(log, c, Events(claim.Stream, 1, 3))
		enough := errors.New("enough")
		ended := make(chan error, 1)
		ctx := s.context()
		go func() {
			options := connector.FollowOptions{Stream: claim.Stream.Name, Last: 1}
			ended <- sink.Follow(ctx, options, func([]byte) error { return enough })
		}()
		for {
			select {
			case err := <-ended:
				if !errors.Is(err, enough) {
					s.Fatalf("got %v, want the error of the caller", err)
				}
				return
			case <-time.After(50 * time.Millisecond):
				c = s.commit(log, c, Events(claim.Stream, c.Sequence+1, 1))
			case <-ctx.Done():
				s.Fatal("it did not end")
			}
		}
	}},
	{name: "follow: a sink that cannot be read says so", except: unlessUnfollowable, test: func(s *scene) {
		s.wantRefusal(s.open().Follow(s.context(), connector.FollowOptions{Last: 1}, func([]byte) error { return nil }))
	}},
}

// wantWhole follows the existing events, and counts them, each sequence of a stream once and in order in its chat.
func wantWhole(s *scene, sink Sink, options connector.FollowOptions, want int) {
	s.Helper()
	n, newest := 0, map[string]uint64{}
	err := sink.Follow(s.context(), options, func(event []byte) error {
		n++
		stored := Structured(s.T, event)
		chat := fmt.Sprint(stored.Source, stored.Sequence%5) // see Events
		if stored.Sequence <= newest[chat] {
			s.Errorf("%+v: sequence %d after %d", options, stored.Sequence, newest[chat])
		}
		newest[chat] = stored.Sequence
		return nil
	})
	if err != nil || n != want {
		s.Fatalf("%+v gives %d events, want %d: %v", options, n, want, err)
	}
}

// follower is a Follow in progress.
type follower struct {
	events chan []byte
	ended  chan error
	cancel context.CancelFunc
}

func follow(s *scene, sink Sink, stream string, last int) *follower {
	ctx, cancel := context.WithCancel(s.Context())
	s.Cleanup(cancel)
	f := &follower{events: make(chan []byte, 1_000), ended: make(chan error, 1), cancel: cancel}
	go func() {
		f.ended <- sink.Follow(ctx, connector.FollowOptions{Stream: stream, Last: last}, func(event []byte) error {
			f.events <- append([]byte(nil), event...)
			return nil
		})
	}()
	return f
}

// take waits for n events.
func (f *follower) take(s *scene, n int) []Stored {
	s.Helper()
	ctx := s.context()
	var got []Stored
	for len(got) < n {
		select {
		case event := <-f.events:
			got = append(got, Structured(s.T, event))
		case err := <-f.ended:
			s.Fatalf("Follow ended after %d of %d events: %v", len(got), n, err)
		case <-ctx.Done():
			s.Fatalf("%d of %d events came", len(got), n)
		}
	}
	return got
}

// end cancels, and checks that this ended it, with no further events.
func (f *follower) end(s *scene) {
	s.Helper()
	ctx := s.context()
	f.cancel()
	select {
	case err := <-f.ended:
		if err != nil {
			s.Fatalf("Follow ended with %v, want nil", err)
		}
	case <-ctx.Done():
		s.Fatal("Follow did not end with its context")
	}
	if n := len(f.events); n != 0 {
		s.Fatalf("%d events too many, the first: %s", n, <-f.events)
	}
}

// wantFollowed checks that these events arrive, each once, and in order within each chat.
func wantFollowed(s *scene, f *follower, events []connector.Event) {
	s.Helper()
	expected := map[uint64]*connector.Event{}
	for i := range events {
		expected[events[i].Sequence] = &events[i]
	}
	newest := map[string]uint64{}
	for _, got := range f.take(s, len(events)) {
		e, ok := expected[got.Sequence]
		if !ok {
			s.Fatalf("followed sequence %d of %s: not expected, or twice", got.Sequence, got.Source)
		}
		delete(expected, got.Sequence)
		if difference := sameStored(got, want(e)); difference != "" {
			s.Fatalf("followed sequence %d: %s", got.Sequence, difference)
		}
		if newest[e.Chat] > got.Sequence {
			s.Fatalf("followed sequence %d of a chat after %d", got.Sequence, newest[e.Chat])
		}
		newest[e.Chat] = got.Sequence
	}
}
