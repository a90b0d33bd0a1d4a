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

// Create makes the stream where there is none of its name. It changes nothing that is there.
func (s *Sink) Create(ctx context.Context) error {
	k, err := s.connect(ctx)
	if err != nil {
		return fmt.Errorf("create stream: %w", err)
	}
	_, err = k.streamInfo(ctx, s.config.Stream)
	var api *apiError
	if err == nil {
		return nil
	}
	if !errors.As(err, &api) || api.Code != codeStreamMissing {
		return s.createError(err)
	}
	wanted := s.config.Replicas
	if wanted == 0 {
		wanted = 3
	}
	err = s.create(ctx, k, wanted)
	if s.config.Replicas == 0 && errors.As(err, &api) && (api.Code == codeNoReplicas || api.Code == codeNoPeers) {
		err = s.create(ctx, k, 1) // there are no three servers
	}
	if err != nil {
		return s.createError(err)
	}
	return nil
}

func (s *Sink) create(ctx context.Context, k *link, replicas int) error {
	var created struct{}
	return k.ask(ctx, "STREAM.CREATE."+s.config.Stream, s.streamConfig(replicas), &created)
}

func (s *Sink) createError(err error) error {
	var api *apiError
	switch {
	case errors.As(err, &api) && notNow(api) && api.Code != codeNotEnabled && api.Code != codeNotEnabledInAccount,
		errors.Is(err, errNoAnswer), errors.Is(err, errLost):
		return fmt.Errorf("create stream: %w: %w", connector.ErrNotNow, err)
	case errors.As(err, &api):
		if refusal := s.refusal(api); refusal != nil {
			return refusal
		}
		return &connector.Refusal{Thing: "JetStream stream " + s.config.Stream, Cause: "the server will not make it: " + api.Error(), Mend: "mend that, or make it yourself: " + s.addCommand()}
	case errors.Is(err, errNoResponders):
		return &connector.Refusal{Thing: "NATS server", Cause: "JetStream is not enabled, or this user may not use it", Mend: "enable JetStream in the server's configuration, or use the sink `nats` (best effort)"}
	}
	return fmt.Errorf("create stream: %w", err)
}

// streamConfig is how the stream has to be.
func (s *Sink) streamConfig(replicas int) jetstream.StreamConfig {
	window := duplicateWindow
	if s.config.MaxAge > 0 {
		window = min(window, s.config.MaxAge)
	}
	maxBytes := s.config.MaxBytes
	if maxBytes == 0 {
		maxBytes = -1
	}
	return jetstream.StreamConfig{
		Name: s.config.Stream, Subjects: subjects(s.config.Subject), Description: "WhatsApp messages as CloudEvents, written by twochat-connector",
		Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Replicas: replicas,
		Discard: jetstream.DiscardNew, MaxAge: s.config.MaxAge, MaxBytes: maxBytes, MaxMsgs: -1, MaxMsgsPerSubject: -1, MaxMsgSize: -1, MaxConsumers: -1,
		Duplicates: window, AllowAtomicPublish: true, AllowMsgTTL: true, AllowDirect: true,
	}
}

// subjects are those that the stream has to take.
func subjects(prefix string) []string {
	return []string{natssink.EventsSubject(prefix, ""), checkpointSubjects(prefix), quarantineSubjects(prefix)}
}

// addCommand makes the stream by hand.
func (s *Sink) addCommand() string {
	return fmt.Sprintf("nats stream add %s --subjects '%s' --storage file --replicas 3 --retention limits --discard new --allow-batch --allow-msg-ttl --defaults",
		s.config.Stream, strings.Join(subjects(s.config.Subject), ","))
}

// subjectsCommand adds the subjects that are wanting to those that the stream has.
func (s *Sink) subjectsCommand(has []string) string {
	all := append([]string(nil), has...)
	for _, subject := range subjects(s.config.Subject) {
		if !covered(has, subject) {
			all = append(all, subject)
		}
	}
	return fmt.Sprintf("nats stream edit %s --subjects '%s'", s.config.Stream, strings.Join(all, ","))
}

// covered says whether one of the patterns takes every subject that the wanted one, itself perhaps a pattern, takes.
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

// Limit gives the stream, which must be this connector's own, the configured limits of age and bytes.
func (s *Sink) Limit(ctx context.Context) error {
	k, err := s.connect(ctx)
	if err != nil {
		return fmt.Errorf("limit stream: %w", err)
	}
	info, err := k.streamInfo(ctx, s.config.Stream)
	if err != nil {
		return fmt.Errorf("limit stream: %w", err)
	}
	wanted, has := s.streamConfig(info.Config.Replicas), info.Config
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
