package sinktest

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/twochat-connector/twochat-connector/connector"
)

// eraser is a sink that can erase.
type eraser interface {
	Erase(ctx context.Context, claim connector.Claim, choice connector.Choice) (connector.ErasedCounts, error)
	Erased(ctx context.Context, stream string) ([]connector.Seen, error)
}

// erased reports whether the suite erases an event: every third one, including the newest and the oldest.
func erased(sequence uint64) bool { return sequence%3 == 1 }

// chosen selects these events of the suite, and the reject numbered 2.
func chosen(s *scene, stream connector.Stream) connector.Choice {
	reject := Reject(stream, 2)
	return connector.Choice{
		Event: func(event []byte) bool { return erased(Structured(s.T, event).Sequence) },
		Reject: func(record []byte) bool {
			_, key, _ := connector.RejectKey(record)
			return key == reject.Key
		},
	}
}

// eraseRules are the clauses of erasing.
var eraseRules = []rule{
	{name: "erase: removes what is chosen byte by byte, and keeps its keys", except: unlessErases, test: func(s *scene) {
		claim, beside := Claim("595981048477", "one"), Claim("support", "one")
		sink := s.open()
		log, other := s.log(sink, claim), s.log(sink, beside)
		events, others := Events(claim.Stream, 1, 40), Events(beside.Stream, 1, 10)
		c := s.commit(log, s.acquire(log).Checkpoint, events[:25], Reject(claim.Stream, 1), Reject(claim.Stream, 2))
		s.commit(other, s.acquire(other).Checkpoint, others)
		c = s.commit(log, c, events[25:], Reject(claim.Stream, 3))
		s.acquire(other)

		left := slices.DeleteFunc(slices.Clone(events), func(e connector.Event) bool { return erased(e.Sequence) })
		want := []connector.Seen{{Key: Reject(claim.Stream, 2).Key}}
		for i := range events {
			if e := &events[i]; erased(e.Sequence) {
				want = append(want, connector.Seen{Key: e.Key, Sequence: e.Sequence, Late: e.Late})
			}
		}
		for _, counts := range []connector.ErasedCounts{{Events: 14, Rejects: 1}, {}} { // the second time nothing is left
			c.Epoch = s.acquire(log).Checkpoint.Epoch
			got, err := sink.(eraser).Erase(s.context(), claim, chosen(s, claim.Stream))
			if err != nil || got != counts {
				s.Fatalf("erase: %+v, %v; want %+v", got, err, counts)
			}
		}
		wantErased(s, sink, claim, want)
		wantReadBack(s, sink, claim.Stream, left, 2)
		wantReadBack(s, sink, beside.Stream, others, 0)

		// The next owner knows all of it, and continues after it.
		sink, log, state := s.reopened(sink, log, claim)
		s.wantCheckpoint(state.Checkpoint, c)
		if !slices.Equal(state.Erased, want) {
			s.Fatalf("%d keys are known as erased, want %d", len(state.Erased), len(want))
		}
		more := Events(claim.Stream, 41, 4)
		s.commit(log, c, more)
		wantReadBack(s, sink, claim.Stream, append(left, more...), 2)
		sink, log, state = s.reopened(sink, log, claim)
		if !slices.Equal(state.Erased, want) || state.Checkpoint.Sequence != 44 {
			s.Fatalf("%d keys are known as erased, want %d; sequence %d", len(state.Erased), len(want),
				state.Checkpoint.Sequence)
		}
		if err := errors.Join(log.Close(), sink.Close()); err != nil {
			s.Fatal(err)
		}
		for i := range events {
			wantBytes(s, events[i].Data, !erased(events[i].Sequence))
		}
		for n := 1; n <= 3; n++ {
			kept := base64.StdEncoding.EncodeToString(Reject(claim.Stream, n).Raw)
			wantBytes(s, []byte(kept), n != 2)
		}
	}},
	{name: "erase: all of a stream leaves one that goes on", except: unlessErases, test: func(s *scene) {
		claim := Claim("595981048477", "one")
		sink := s.open()
		log := s.log(sink, claim)
		c := s.commit(log, s.acquire(log).Checkpoint, Events(claim.Stream, 1, 12), Reject(claim.Stream, 2))
		c.Epoch = s.acquire(log).Checkpoint.Epoch
		all := connector.Choice{Event: func([]byte) bool { return true }, Reject: func([]byte) bool { return true }}
		counts, err := sink.(eraser).Erase(s.context(), claim, all)
		if err != nil || counts != (connector.ErasedCounts{Events: 12, Rejects: 1}) {
			s.Fatalf("erase: %+v, %v", counts, err)
		}
		sink, log, state := s.reopened(sink, log, claim)
		s.wantCheckpoint(state.Checkpoint, c)
		if len(state.Erased) != 13 {
			s.Fatalf("%d keys are known as erased", len(state.Erased))
		}
		more := Events(claim.Stream, 13, 2)
		s.commit(log, c, more)
		wantReadBack(s, sink, claim.Stream, more, 0)
	}},
}

func unlessErases(_ *Suite, p *Storage) string {
	if p.Folder == "" {
		return "nothing can be erased from it"
	}
	return ""
}

// wantErased checks what a sink reports as erased.
func wantErased(s *scene, sink Sink, claim connector.Claim, want []connector.Seen) {
	s.Helper()
	got, err := sink.(eraser).Erased(s.context(), claim.Stream.Name)
	if err != nil || !slices.Equal(got, want) {
		s.Fatalf("%d keys are said to be erased (%v), want %d", len(got), err, len(want))
	}
}

// wantBytes checks whether some bytes are anywhere in the storage's folder.
func wantBytes(s *scene, text []byte, want bool) {
	s.Helper()
	found := false
	err := filepath.WalkDir(s.storage.Folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		found = found || bytes.Contains(raw, text)
		return err
	})
	if err != nil || found != want {
		s.Fatalf("%.60s stands in the folder: %t, want %t (%v)", text, found, want, err)
	}
}
