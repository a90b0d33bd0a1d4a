package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/connector"
	natssink "github.com/twochat-connector/twochat-connector/sinks/nats"
)

// duplicateWindow is the server's own default.
const duplicateWindow = 2 * time.Minute

// Create creates the stream if none has its name. It changes no existing stream, and does not recreate a stream that
// existed before and is gone: a new log under the same name would hide the loss of its events.
func (s *Sink) Create(ctx context.Context) error {
	k, err := s.connect(ctx)
	if err != nil {
		return fmt.Errorf("create stream: %w", err)
	}
	_, err = k.streamInfo(ctx, s.config.Stream)
	var api *apiError
	if err == nil {
		s.hints.exists()
		return nil
	}
	if !errors.As(err, &api) || api.Code != codeStreamMissing {
		return s.createError(k, err)
	}
	if s.hints.wasThere() {
		return s.hints.vanished()
	}
	// An older server would create the stream, and ignore the settings that it does not know.
	i := &inspection{sink: s, link: k}
	i.versions(ctx, nil)
	if r := i.report; r.refused(0) {
		return &connector.Refusal{Thing: r[0].Thing, Cause: r[0].Text, Hint: r[0].Hint}
	}
	wanted := s.config.Replicas
	switch {
	case wanted > 0:
	case s.config.joined(k):
		wanted = 3
	default:
		wanted = 1 // a single server
	}
	err = s.config.create(ctx, k, wanted)
	if s.config.Replicas == 0 && errors.As(err, &api) && api.Code == codeNoReplicas {
		err = s.config.create(ctx, k, 1) // no cluster behind the leaf node either
	}
	if errors.As(err, &api) && (api.Code == codeSubjectsTaken || api.Code == codeNoReplicas) {
		if known := s.CheckCreate(ctx); known != nil {
			return known // it names the stream that has the subjects, and what to do
		}
	}
	if errors.As(err, &api) && api.Code == codeNameTaken {
		err = nil // somebody else has created it meanwhile, with other settings, which Check judges
	}
	if err != nil {
		return s.createError(k, err)
	}
	s.hints.exists()
	return nil
}

// create creates the stream with this many replicas.
func (c Config) create(ctx context.Context, k *link, replicas int) error {
	var created struct{}
	return k.ask(ctx, "STREAM.CREATE."+c.Stream, c.streamConfig(replicas), &created)
}

func (s *Sink) createError(k *link, err error) error {
	var api *apiError
	switch {
	case errors.As(err, &api) && api.Code == codeNoPeers:
		return fmt.Errorf("create stream: %w: the cluster does not have enough servers for its replicas: %w; "+
			"it is created once they have joined; for fewer replicas set `sink.jetstream.replicas: 1`", connector.ErrNotNow, api)
	case errors.As(err, &api) && (api.Code == codeBytesRequired || api.Code == codeBytesExceeded):
		return &connector.Refusal{
			Thing: "JetStream stream " + s.config.Stream, Cause: "the account requires a byte limit for it: " + api.Description,
			Hint: "set `sink.jetstream.max_bytes` to what the account allows a stream",
		}
	case errors.As(err, &api) && full(api):
		return &connector.Refusal{
			Thing: "JetStream stream " + s.config.Stream, Cause: "there is no room for it: " + api.Error(),
			Hint: "lower `sink.jetstream.max_bytes`, raise the account's storage limit, or make room on the " +
				"servers' disks",
		}
	case errors.As(err, &api) && notNow(api) && api.Code != codeNotEnabled && api.Code != codeNotEnabledInAccount,
		errors.Is(err, errNoAnswer), errors.Is(err, errLost):
		return fmt.Errorf("create stream: %w: %w", connector.ErrNotNow, err)
	}
	if refusal := s.hints.unasked(k, err); refusal != nil {
		return refusal
	}
	switch {
	case errors.As(err, &api):
		return &connector.Refusal{
			Thing: "JetStream stream " + s.config.Stream, Cause: "the server refuses to create it: " + api.Error(),
			Hint: "fix that, or create it yourself: " + s.hints.addCommand(),
		}
	case errors.Is(err, errNoResponders):
		return fmt.Errorf("create stream: %w: %w: %w", connector.ErrNotNow, err, s.hints.noJetStream())
	}
	return fmt.Errorf("create stream: %w", err)
}

// streamConfig is the configuration of a new stream.
func (c Config) streamConfig(replicas int) jetstream.StreamConfig {
	window := duplicateWindow
	if c.MaxAge > 0 {
		window = min(window, c.MaxAge)
	}
	maxBytes := c.MaxBytes
	if maxBytes == 0 {
		maxBytes = -1
	}
	return jetstream.StreamConfig{
		Name: c.Stream, Subjects: c.subjects(),
		Description: "WhatsApp messages as CloudEvents, written by twochat-connector",
		Retention:   jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Replicas: replicas,
		Discard: jetstream.DiscardNew, MaxAge: c.MaxAge, MaxBytes: maxBytes, MaxMsgs: -1, MaxMsgsPerSubject: -1,
		MaxMsgSize: -1, MaxConsumers: -1,
		Duplicates: window, AllowAtomicPublish: true, AllowMsgTTL: true, AllowDirect: true,
	}
}

// subjects are those that the stream must have.
func subjects(prefix string) []string {
	return []string{natssink.EventsSubject(prefix, ""), checkpointSubjects(prefix), quarantineSubjects(prefix)}
}

// subjects are those of a new stream: those that it must have, and that of the members, without which there is only one
// replica. A server inside this process has no other.
func (c Config) subjects() []string {
	if c.InProcess != nil {
		return subjects(c.Subject)
	}
	return append(subjects(c.Subject), memberSubjects(c.Subject))
}

// covered reports whether one of the patterns matches every subject that the wanted one matches, which may be a pattern
// too.
func covered(patterns []string, wanted string) bool {
	for _, pattern := range patterns {
		if covers(strings.Split(pattern, "."), strings.Split(wanted, ".")) {
			return true
		}
	}
	return false
}

func covers(pattern, wanted []string) bool {
	for i, token := range pattern {
		switch {
		case token == ">":
			return i < len(wanted)
		case i >= len(wanted) || wanted[i] == ">":
			return false
		case token == "*", token == wanted[i]:
		default:
			return false
		}
	}
	return len(pattern) == len(wanted)
}

// Limit gives the stream, which must be this connector's own, the configured limits of age and size.
func (s *Sink) Limit(ctx context.Context) error {
	k, err := s.connect(ctx)
	if err != nil {
		return fmt.Errorf("limit stream: %w", err)
	}
	info, err := k.streamInfo(ctx, s.config.Stream)
	if err != nil {
		return fmt.Errorf("limit stream: %w", err)
	}
	wanted, has := s.config.streamConfig(info.Config.Replicas), info.Config
	if has.MaxAge == wanted.MaxAge && has.MaxBytes == wanted.MaxBytes && has.Duplicates == wanted.Duplicates {
		return nil
	}
	has.MaxAge, has.MaxBytes, has.Duplicates = wanted.MaxAge, wanted.MaxBytes, wanted.Duplicates
	var updated struct{}
	if err := k.ask(ctx, "STREAM.UPDATE."+s.config.Stream, has, &updated); err != nil {
		return fmt.Errorf("limit stream: %w", err)
	}
	return nil
}
