package jetstream

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/connector"
)

// settings is what the sink needs to know of the stream's configuration.
type settings struct {
	read            time.Time // zero if not read yet
	maxMessageSize  int64     // of the stream, headers included; no limit below 1
	ttl             bool      // messages may have an expiry time of their own
	direct          bool      // direct gets are allowed
	replicas        int
	duplicateWindow time.Duration
	room            string             // what to do if the stream is full
	refusal         *connector.Refusal // why the stream cannot be written to as it is now; nil if it can
	alone           *connector.Refusal // why members cannot announce themselves in it; nil if they can
	begun           bool               // it holds, or has held, a message
}

// settingsAge is how long settings are trusted. An operator may edit the stream while the connector runs, and a stream
// that was set to discard old messages loses them although every commit succeeds. One request serves all logs that
// write to the stream.
const settingsAge = 5 * time.Second

// known returns the stream's settings. It reads them again if they are old, contain a refusal, or refresh asks for it.
// They are checked each time as at the start: what would have been refused then is their refusal, and what would have
// been a warning is logged once.
func (s *Sink) known(ctx context.Context, k *link, refresh bool) (settings, error) {
	s.mu.Lock()
	held := s.settings
	s.mu.Unlock()
	if !refresh && !held.read.IsZero() && held.refusal == nil && time.Since(held.read) < settingsAge {
		return held, nil
	}
	info, err := k.streamInfo(ctx, s.config.Stream)
	if err != nil {
		return settings{}, err
	}
	return learn(s, info), nil
}

// learn makes the sink know the settings of the stream that were read just now.
func learn(s *Sink, info *jetstream.StreamInfo) settings {
	held := settings{
		read: time.Now(), maxMessageSize: int64(info.Config.MaxMsgSize), ttl: info.Config.AllowMsgTTL,
		direct:   info.Config.AllowDirect,
		replicas: info.Config.Replicas, duplicateWindow: info.Config.Duplicates, room: s.hints.roomHint(&info.Config),
		refusal: s.refusalOf(info), alone: memberHints{s.hints}.alone(info), begun: info.State.LastSeq > 0,
	}
	s.mu.Lock()
	s.settings = held
	s.mu.Unlock()
	s.hints.exists()
	return held
}

// CheckWritable checks that the present settings of the stream allow writing. It costs a request if the settings are
// not fresh. The error is a refusal; whether the server answers is found out only by a commit.
func (s *Sink) CheckWritable(ctx context.Context) error {
	k := s.held()
	if k == nil || !k.conn.IsConnected() {
		return nil
	}
	known, err := s.known(ctx, k, false)
	var api *apiError
	switch {
	case err == nil && known.refusal != nil:
		return known.refusal
	case errors.As(err, &api) && !notNow(api):
		if refusal := s.hints.refusal(api); refusal != nil {
			return refusal
		}
	}
	return nil
}

// refusalOf is the refusal of a stream with its present settings, which are compared with the configured ones; nil if
// it is accepted.
func (s *Sink) refusalOf(info *jetstream.StreamInfo) *connector.Refusal {
	var r report
	r.leader(info)
	r.stream(info, s)
	var refusal *connector.Refusal
	for _, finding := range r {
		switch finding.Level {
		case connector.FindingRefused:
			if refusal == nil {
				refusal = &connector.Refusal{Thing: finding.Thing, Cause: finding.Text, Hint: finding.Hint}
			}
		case connector.FindingWarning:
			if s.warnings.first(finding) {
				s.logger.Warn("the stream's settings weaken the promise", "thing", finding.Thing, "finding", finding.Text, "hint",
					finding.Hint)
			}
		}
	}
	return refusal
}

// warnings are those that were logged already.
type warnings struct {
	mu    sync.Mutex
	given map[string]bool
}

// first reports whether a warning is new, and records it.
func (w *warnings) first(finding connector.Finding) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := finding.Thing + ": " + finding.Text
	if w.given[text] {
		return false
	}
	if w.given == nil {
		w.given = make(map[string]bool)
	}
	w.given[text] = true
	return true
}

// standings are where the streams' logs ended, as far as this process knows, by the subject of the checkpoint. They
// outlive the Logs.
type standings struct {
	mu    sync.Mutex
	known map[string]*connector.HighWaterMark
}

func (s *standings) of(checkpoint string) *connector.HighWaterMark {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = make(map[string]*connector.HighWaterMark)
	}
	if s.known[checkpoint] == nil {
		s.known[checkpoint] = new(connector.HighWaterMark)
	}
	return s.known[checkpoint]
}
