package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/connector"
	natssink "github.com/twochat-connector/twochat-connector/sinks/nats"
)

// Erase removes what a choice picks of a stream's events and rejects. What is to go is recorded first, by its keys, so
// that whoever is broken off can do it again, and whoever takes the stream over later knows it. Each message is then
// overwritten by the server, one by one: a purge by subject would leave its bytes in the file until that is compacted,
// which may be never.
func (s *Sink) Erase(ctx context.Context, claim connector.Claim, choice connector.Choice) (connector.ErasedCounts, error) {
	counts, err := (&eraser{sink: s, claim: claim, choice: choice}).erase(ctx)
	var denied *deniedError
	var refusal *connector.Refusal
	switch {
	case errors.As(err, &denied):
		return counts, s.hints.denial(denied)
	case errors.As(err, &refusal):
		return counts, err
	}
	return counts, readError("erase", s.hints, err)
}

// Erased returns what was erased of a stream on request.
func (s *Sink) Erased(ctx context.Context, stream string) ([]connector.Seen, error) {
	k, err := s.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("read what was erased: %w", err)
	}
	erased, err := readErased(ctx, s, k, stream)
	return erased, readError("read what was erased", s.hints, err)
}

func readErased(ctx context.Context, s *Sink, k *link, stream string) ([]connector.Seen, error) {
	var erased []connector.Seen
	config := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy}
	_, err := readToNewest(ctx, s, k, natssink.ErasureSubject(s.config.Subject, stream), config, 2*k.timeout,
		func(m jetstream.Msg, _ uint64) error {
			some, err := connector.ParseErasure(m.Data())
			erased = append(erased, some...)
			return err
		})
	return connector.SortErased(erased), err
}

// eventsIn counts the events among what was erased.
func eventsIn(erased []connector.Seen) (n uint64) {
	for i := range erased {
		if at := erased[i].Sequence; at > 0 && (i == 0 || erased[i-1].Sequence != at) {
			n++
		}
	}
	return n
}

// eraser is one erasure.
type eraser struct {
	sink   *Sink
	claim  connector.Claim
	choice connector.Choice
	link   *link

	messages []uint64 // stream sequences of what is to go
	keys     []connector.Seen
	counts   connector.ErasedCounts
}

func (e *eraser) erase(ctx context.Context) (connector.ErasedCounts, error) {
	var err error
	if e.link, err = e.sink.connect(ctx); err != nil {
		return connector.ErasedCounts{}, err
	}
	if err := e.may(ctx); err != nil {
		return connector.ErasedCounts{}, err
	}
	if err := e.choose(ctx); err != nil {
		return connector.ErasedCounts{}, err
	}
	if err := e.record(ctx); err != nil {
		return connector.ErasedCounts{}, err
	}
	for _, sequence := range e.messages {
		if err := e.overwrite(ctx, sequence); err != nil {
			return connector.ErasedCounts{}, err
		}
	}
	return e.counts, nil
}

// may finds out, before anything is recorded, whether messages can be deleted at all.
func (e *eraser) may(ctx context.Context) error {
	info, err := e.link.streamInfo(ctx, e.sink.config.Stream)
	if err != nil {
		return err
	}
	if info.Config.DenyDelete {
		return &connector.Refusal{
			Thing: "JetStream stream " + e.sink.config.Stream, Cause: "it lets no message be deleted (deny_delete), and stays so",
			Hint: "let max_age remove the messages, or move to a stream without it",
		}
	}
	err = e.overwrite(ctx, 0) // there is no such message
	var api *apiError
	if errors.As(err, &api) && !notNow(api) {
		return nil // the server listened
	}
	return err
}

// choose finds what is to go.
func (e *eraser) choose(ctx context.Context) error {
	prefix, name := e.sink.config.Subject, e.claim.Stream.Name
	source := e.claim.Stream.Source()
	err := readSubjects(ctx, e.sink, e.link, natssink.EventsSubject(prefix, name), func(m jetstream.Msg, at uint64) error {
		event, err := natssink.DecodeEvent(m.Headers(), m.Data())
		seen, ours := readHeader(m.Headers(), source)
		if err != nil || !ours || !e.choice.Event(event) {
			return nil
		}
		e.messages, e.keys = append(e.messages, at), append(e.keys, seen)
		e.counts.Events++
		return nil
	})
	if err != nil {
		return err
	}
	quarantine := natssink.QuarantineSubject(prefix, name)
	return readSubjects(ctx, e.sink, e.link, quarantine, func(m jetstream.Msg, at uint64) error {
		_, key, ours := connector.RejectKey(m.Data())
		if !ours || !e.choice.Reject(m.Data()) {
			return nil
		}
		e.messages, e.keys = append(e.messages, at), append(e.keys, connector.Seen{Key: key})
		e.counts.Rejects++
		return nil
	})
}

// record writes down what is to go, as far as it was not written down before.
func (e *eraser) record(ctx context.Context) error {
	recorded, err := readErased(ctx, e.sink, e.link, e.claim.Stream.Name)
	if err != nil {
		return err
	}
	known, err := e.sink.known(ctx, e.link, false)
	if err != nil {
		return err
	}
	for _, some := range connector.Erasures(e.claim.Stream.Name, time.Now(), e.keys, recorded) {
		body, err := some.AppendJSON(nil, e.claim.TypePrefix)
		if err != nil {
			return err
		}
		m := &natsgo.Msg{
			Subject: natssink.ErasureSubject(e.sink.config.Subject, e.claim.Stream.Name), Data: body,
			Header: natsgo.Header{natssink.HeaderContentType: {connector.StructuredType}},
		}
		if known.ttl {
			m.Header[headerTTL] = []string{"never"} // it outlives what it speaks of
		}
		if _, err := e.link.publish(ctx, batchID(), single(m), false); err != nil {
			return err
		}
	}
	return nil
}

// overwrite removes a message and lets the server overwrite its bytes. One that is gone already is as good.
func (e *eraser) overwrite(ctx context.Context, sequence uint64) error {
	request := struct {
		Sequence uint64 `json:"seq"`
	}{sequence}
	var answer struct{}
	err := e.link.ask(ctx, "STREAM.MSG.DELETE."+e.sink.config.Stream, request, &answer)
	var api *apiError
	if errors.As(err, &api) && (api.Code == codeNoSequence || api.Code == codeNoMessage) {
		return nil
	}
	return err
}
