package sinktest

import (
	"bytes"
	"errors"
	"strings"

	"github.com/twochat-connector/twochat-connector/connector"
)

// readBackRules are the clauses of sinks.Sink's ReadBack.
var readBackRules = []rule{
	{name: "read back: gives all events and rejects of one stream, and ends", except: unlessKept, test: func(s *scene) {
		claim, beside := Claim("595981048477", "one"), Claim("support", "one")
		sink := s.open()
		log, other := s.log(sink, claim), s.log(sink, beside)
		events := Events(claim.Stream, 1, 20)
		c := s.commit(log, s.acquire(log).Checkpoint, events[:9], Reject(claim.Stream, 1))
		s.commit(other, s.acquire(other).Checkpoint, Events(beside.Stream, 1, 5), Reject(beside.Stream, 7))
		c = s.commit(log, c, events[9:12], Reject(claim.Stream, 2))
		s.commit(log, c, events[12:])

		for _, reader := range []Sink{sink, s.open()} {
			wantReadBack(s, reader, claim.Stream, events, 2)
		}
		wantReadBack(s, sink, Stream("nobody"), nil, 0)

		rejects := 0
		count := func([]byte) error { rejects++; return nil }
		if err := sink.ReadBack(s.context(), claim.Stream.Name, nil, count); err != nil || rejects != 2 {
			s.Fatalf("read back without events: %v; %d rejects, want 2", err, rejects)
		}
		if err := sink.ReadBack(s.context(), "", nil, count); err != nil || rejects != 5 {
			s.Fatalf("read back of all streams' rejects: %v; %d, want 3", err, rejects-2)
		}
	}},
	{name: "read back: ends with the error of its caller", except: unlessKept, test: func(s *scene) {
		claim := Claim("595981048477", "one")
		sink := s.open()
		log := s.log(sink, claim)
		s.commit(log, s.acquire(log).Checkpoint, Events(claim.Stream, 1, 3), Reject(claim.Stream, 1))
		enough := errors.New("enough")
		event := func(connector.StoredRecord) error { return nil }
		reject := func([]byte) error { return enough }
		if err := sink.ReadBack(s.context(), claim.Stream.Name, event, reject); !errors.Is(err, enough) {
			s.Fatalf("got %v, want the error of the caller", err)
		}
		event = func(connector.StoredRecord) error { return enough }
		if err := sink.ReadBack(s.context(), claim.Stream.Name, event, reject); !errors.Is(err, enough) {
			s.Fatalf("got %v, want the error of the caller", err)
		}
	}},
	{name: "read back: names the position of what is no event", except: unlessIntrude, test: func(s *scene) {
		claim := Claim("595981048477", "one")
		sink := s.open()
		log := s.log(sink, claim)
		c := s.acquire(log).Checkpoint
		s.commit(log, c, Events(claim.Stream, 1, 5), Reject(claim.Stream, 1))
		intruders := []string{
			"hello \xff", "", "null", `{"specversion":"1.0","id":`, `{"specversion":"1.0","id":"a","type":"t"}`,
		}
		for _, intruder := range intruders {
			s.storage.Intrude(s.T, claim.Stream.Name, []byte(intruder))
		}
		events, rejects := 0, 0
		positions := map[connector.RecordPosition]bool{}
		err := sink.ReadBack(s.context(), claim.Stream.Name, func(record connector.StoredRecord) error {
			switch {
			case (record.Fault == nil) != (record.Event != nil) || record.Position.Container == "":
				s.Fatalf("read back %+v: want either an event or a fault, and a position", record)
			case record.Fault != nil:
				positions[record.Position] = true
			default:
				events++
			}
			return nil
		}, func([]byte) error { rejects++; return nil })
		if err != nil || events != 5 || rejects != 1 || len(positions) != len(intruders) {
			s.Fatalf("read back: %v; %d events, %d rejects, and what is no event at %v", err, events, rejects, positions)
		}
	}},
	{name: "read back: a sink that keeps nothing says so", except: unlessUnkept, test: func(s *scene) {
		s.wantRefusal(s.open().ReadBack(s.context(), "support", func(connector.StoredRecord) error { return nil },
			func([]byte) error { return nil }))
	}},
}

func unlessIntrude(_ *Suite, p *Storage) string {
	if p.Intrude == nil {
		return "no events are kept among which somebody could write"
	}
	return ""
}

func unlessUnkept(s *Suite, _ *Storage) string {
	if !s.Unkept {
		return "events are kept"
	}
	return ""
}

// wantReadBack checks that a sink returns these events, in order within each part, and that many rejects.
func wantReadBack(s *scene, sink Sink, stream connector.Stream, events []connector.Event, rejects int) {
	s.Helper()
	expected := map[uint64]*connector.Event{}
	for i := range events {
		expected[events[i].Sequence] = &events[i]
	}
	newest := map[int]uint64{}
	chats := map[string]int{}
	err := sink.ReadBack(s.context(), stream.Name, func(record connector.StoredRecord) error {
		if record.Fault != nil {
			s.Fatalf("read back what is no event: %v, at %s", record.Fault, record.Position)
		}
		part, got := record.Part, Structured(s.T, record.Event)
		e, ok := expected[got.Sequence]
		if !ok {
			s.Fatalf("read back sequence %d of %s: not expected, or twice", got.Sequence, got.Source)
		}
		delete(expected, got.Sequence)
		if difference := sameStored(got, want(e)); difference != "" {
			s.Fatalf("read back sequence %d: %s", got.Sequence, difference)
		}
		if newest[part] > got.Sequence {
			s.Fatalf("read back sequence %d of part %d after %d", got.Sequence, part, newest[part])
		}
		newest[part] = got.Sequence
		if of, known := chats[e.Chat]; known && of != part {
			s.Fatalf("a chat is in the parts %d and %d", of, part)
		}
		chats[e.Chat] = part
		return nil
	}, func(reject []byte) error {
		rejects--
		if !strings.Contains(string(reject), stream.Source()) || !bytes.Contains(reject, []byte(connector.RejectType)) {
			s.Fatalf("read back as a reject: %s", reject)
		}
		return nil
	})
	if err != nil || len(expected) != 0 || rejects != 0 {
		s.Fatalf("read back: %v; %d events and %d rejects too few", err, len(expected), rejects)
	}
}
