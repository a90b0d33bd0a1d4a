package jetstream

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/connector"
)

// CheckCreate checks whether Create would succeed: that the account has room for the stream, that no other stream has
// its subjects, and that this user may create it. Only Create can find out whether the servers' disks have room. What
// this user may not read is skipped, as Create does not need it.
func (s *Sink) CheckCreate(ctx context.Context) error {
	k, err := s.connect(ctx)
	if err != nil {
		return fmt.Errorf("check create: %w", err)
	}
	switch _, err := k.streamInfo(ctx, s.config.Stream); {
	case err == nil:
		return nil // there is nothing to create
	case errors.Is(err, errNoResponders): // as in Create
		return s.createError(k, err)
	}
	if s.config.Replicas > 1 && !s.config.joined(k) && s.config.APIPrefix == "" {
		return &connector.Refusal{
			Thing: "JetStream stream " + s.config.Stream,
			Cause: fmt.Sprintf("it cannot be created: a single server supports one replica, not %d", s.config.Replicas),
			Hint:  "remove `sink.jetstream.replicas`, or run nats-server as a cluster",
		}
	}
	var denied *deniedError
	for _, subject := range s.config.subjects() {
		var taken struct {
			Streams []string `json:"streams"`
		}
		err := k.ask(ctx, "STREAM.NAMES", map[string]string{"subject": subject}, &taken)
		if errors.As(err, &denied) {
			break
		}
		if err != nil {
			return fmt.Errorf("check create: look up who has the subjects: %w", err)
		}
		for _, other := range taken.Streams {
			if other != s.config.Stream {
				return &connector.Refusal{
					Thing: "JetStream stream " + s.config.Stream,
					Cause: "it cannot be created: the stream " + other + " already has its subjects (" + subject + ")",
					Hint: "use that stream with `sink.jetstream.stream: " + other +
						"`, or choose other subjects with `sink.jetstream.subject`",
				}
			}
		}
	}
	// A request that contradicts itself is refused after the rights were checked, and nothing is created.
	var made struct{}
	err = k.ask(ctx, "STREAM.CREATE."+s.config.Stream, jetstream.StreamConfig{Name: s.config.Stream + "-rehearsal"}, &made)
	var api *apiError
	switch {
	case errors.As(err, &denied):
		return &connector.Refusal{
			Thing: "NATS user", Cause: "it may not create the stream",
			Hint: "allow it to publish to " + k.api + "STREAM.CREATE." + s.config.Stream + ", or create the stream yourself: " +
				s.hints.addCommand(),
		}
	case err != nil && !errors.As(err, &api):
		return fmt.Errorf("check create: test the right to create the stream: %w", err)
	}
	var account jetstream.AccountInfo
	err = k.ask(ctx, "INFO", nil, &account)
	if errors.As(err, &denied) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("check create: read the account's limits: %w", err)
	}
	return s.bears(account)
}

// bears checks that an account has room for the stream.
func (s *Sink) bears(account jetstream.AccountInfo) error {
	tier := account.Tier
	if s.config.Replicas > 0 || len(account.Tiers) == 1 {
		for name, of := range account.Tiers {
			if len(account.Tiers) == 1 || name == fmt.Sprintf("R%d", s.config.Replicas) {
				tier = of
			}
		}
	}
	limits, bytes := tier.Limits, s.config.MaxBytes
	refuse := func(cause, hint string) error {
		return &connector.Refusal{
			Thing: "JetStream stream " + s.config.Stream, Cause: "it cannot be created: " + cause,
			Hint: hint,
		}
	}
	switch {
	case limits.MaxStreams > 0 && tier.Streams >= limits.MaxStreams:
		return refuse(fmt.Sprintf("the account has %d streams, which is its limit", tier.Streams),
			"raise the account's limit of streams, or remove one: "+s.hints.command("stream rm NAME"))
	case limits.MaxBytesRequired && bytes <= 0:
		return refuse("the account requires a byte limit for each stream",
			"set `sink.jetstream.max_bytes` to what the account allows a stream"+largest(limits))
	case limits.StoreMaxStreamBytes > 0 && bytes > limits.StoreMaxStreamBytes:
		return refuse("the account does not allow a stream of that size", "set `sink.jetstream.max_bytes`"+largest(limits))
	case limits.MaxStore > 0 && bytes > 0 && bytes > limits.MaxStore-int64(tier.ReservedStore):
		return refuse(fmt.Sprintf("the account has %d bytes left", limits.MaxStore-int64(tier.ReservedStore)),
			fmt.Sprintf("set `sink.jetstream.max_bytes` to at most %d, or raise the account's limit",
				limits.MaxStore-int64(tier.ReservedStore)))
	}
	return nil
}

func largest(limits jetstream.AccountLimits) string {
	most := limits.StoreMaxStreamBytes
	if most <= 0 {
		most = limits.MaxStore
	}
	if most <= 0 {
		return ""
	}
	return fmt.Sprintf(", at most %d", most)
}
