package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/twochat-connector/twochat-connector/connector"
	natssink "github.com/twochat-connector/twochat-connector/sinks/nats"
)

// probed is the number of streams whose names are used to test the rights.
const probed = 8

// probe tests what the connector does, now and at its next start, with requests that change nothing: messages that
// expect another stream, which the server refuses only after it has checked the rights; a short-lived consumer; and a
// purge of a subject that does not exist.
func (i *inspection) probe(ctx context.Context, info *jetstream.StreamInfo, claims []connector.Claim) error {
	before := len(i.report)
	for _, step := range []func() error{
		func() error { return i.probePublishing(ctx, claims) },
		func() error { return i.probeReading(ctx, info) },
		func() error { return i.probePurge(ctx) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	if len(i.report) == before {
		i.report.add(connector.FindingOK, "NATS user", "may publish, read back and purge", "")
	}
	return ctx.Err()
}

func (i *inspection) probePublishing(ctx context.Context, claims []connector.Claim) error {
	s, k, r := i.sink, i.link, &i.report
	prefix := s.config.Subject
	names := []string{"="}
	if len(claims) > 0 {
		names = nil
		for _, claim := range claims[:min(len(claims), probed)] {
			names = append(names, claim.Stream.Name)
		}
	}
	for _, name := range names {
		events := strings.TrimSuffix(natssink.EventsSubject(prefix, name), ">") + connector.DirectionNew + ".check"
		for _, subject := range []string{
			events, natssink.CheckpointSubject(prefix, name),
			natssink.QuarantineSubject(prefix, name),
		} {
			m := &natsgo.Msg{Subject: subject, Header: natsgo.Header{headerOnlyStream: {"twochat-connector-probe"}}}
			err := i.confirmed(ctx, func() error {
				_, err := k.publish(ctx, nuid.Next(), single(m), false)
				return err
			})
			var api *apiError
			var denied *deniedError
			switch {
			case errors.Is(err, errUnreached):
				return err
			case errors.As(err, &api) && api.Code == codeOtherStream:
			case ctx.Err() != nil:
				return ctx.Err()
			case errors.As(err, &denied):
				r.refuse(s.hints.denial(denied))
			case errors.Is(err, errNoAnswer):
				r.add(connector.FindingRefused, "NATS user", "no answer to a message on "+subject+
					": it may not publish there, or may not subscribe to its inbox", s.hints.allowHint())
			case errors.Is(err, errNoResponders):
				r.add(connector.FindingRefused, "NATS user", "no stream of its account has the subject "+
					subject, s.hints.takesHint())
			default:
				return err
			}
		}
	}
	return nil
}

// probeReading tests how a restart reads the log back. If the API is imported from another account, a service that
// passes on only one reply would go unnoticed otherwise.
func (i *inspection) probeReading(ctx context.Context, info *jetstream.StreamInfo) error {
	s, k, r := i.sink, i.link, &i.report
	stream := s.config.Stream
	refuse := func(text string, err error) error {
		var denied *deniedError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errUnreached), errors.Is(err, errLost):
			return err
		case errors.Is(err, errOneReply):
			r.refuse(s.hints.oneReply())
		case errors.As(err, &denied):
			r.refuse(s.hints.denial(denied))
		default:
			r.add(connector.FindingRefused, "NATS user", text+": "+err.Error(), s.hints.allowHint())
		}
		return nil
	}
	if err := i.settled(ctx, info, func() error {
		_, _, err := k.get(ctx, stream, query{Last: checkpointSubjects(s.config.Subject)})
		return err
	}); err != nil {
		return refuse("it cannot read the checkpoint back", err)
	}
	if info.Config.AllowDirect && info.State.Msgs > 0 {
		if err := i.settled(ctx, info, func() error {
			_, _, err := k.directOnce(ctx, stream, ">", info.State.FirstSeq, 1, func(natsgo.Header, uint64) {})
			return err
		}); err != nil {
			return refuse("it cannot read events back by direct gets", err)
		}
	}
	if err := i.settled(ctx, info, func() error { return i.probeConsumer(ctx) }); err != nil {
		return refuse("it cannot read events back by a consumer", err)
	}
	return nil
}

// election is how long a cluster may take to elect leaders for the stream and for its consumers. Meanwhile no server
// answers, which looks like a missing right.
const election = 15 * time.Second

// errUnreached means that a server that has answered before does not answer any more.
var errUnreached = errors.New("the server stopped answering")

// confirmed repeats a request if its answer, or a part of it, did not come, and the server answers something else: a
// server that was frozen for a moment looks like one that keeps the answer back.
func (i *inspection) confirmed(ctx context.Context, try func() error) error {
	err := try()
	if !errors.Is(err, errNoAnswer) && !errors.Is(err, errOneReply) {
		return err
	}
	if _, silent := i.link.streamInfo(ctx, i.sink.config.Stream); silent != nil {
		return fmt.Errorf("%w: %w", errUnreached, silent)
	}
	return try()
}

// settled repeats, on a cluster and for that long, a request that got no answer.
func (i *inspection) settled(ctx context.Context, info *jetstream.StreamInfo, try func() error) error {
	err := i.confirmed(ctx, try)
	if info.Cluster == nil && info.Config.Replicas == 1 {
		return err
	}
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for end := time.Now().Add(election); err != nil && leaderless(err) && time.Now().Before(end); err = try() {
		select {
		case <-again.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

// leaderless reports whether a request may have failed because there was no leader.
func leaderless(err error) bool {
	var api *apiError
	if errors.As(err, &api) {
		return notNow(api) && !full(api)
	}
	return errors.Is(err, errNoResponders) || errors.Is(err, errNoAnswer) || errors.Is(err, errLost)
}

// beat is how often an idle consumer sends a heartbeat, which shows whether a second reply arrives.
const beat = 100 * time.Millisecond

// probeConsumer makes a consumer for a subject that has no messages, and expects two replies to one pull.
func (i *inspection) probeConsumer(ctx context.Context) error {
	s, k := i.sink, i.link
	stream, name := s.config.Stream, "probe"+nuid.Next()
	filter := natssink.CheckpointSubject(s.config.Subject, "no such stream")
	create := struct {
		Stream string         `json:"stream_name"`
		Config map[string]any `json:"config"`
	}{stream, map[string]any{
		"name": name, "ack_policy": "none", "deliver_policy": "all", "filter_subject": filter, "headers_only": true,
		"mem_storage": true, "num_replicas": 1, "inactive_threshold": inactive,
	}}
	var answer struct{}
	if err := k.ask(ctx, "CONSUMER.CREATE."+stream+"."+name+"."+filter, create, &answer); err != nil {
		return err
	}
	defer forgetConsumer(s, k, name)
	body, err := json.Marshal(map[string]any{"batch": 1, "expires": 20 * beat, "idle_heartbeat": beat})
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	subject, id := k.api+"CONSUMER.MSG.NEXT."+stream+"."+name, nuid.Next()
	x, done := k.await(id, 32, func(other string) bool { return other == subject })
	defer done(false)
	life := k.life()
	if err := k.conn.PublishRequest(subject, k.inbox+id+".1", body); err != nil {
		return errors.Join(errLost, err)
	}
	timer := time.NewTimer(k.answerTimeout(0))
	defer timer.Stop()
	for replies := 0; replies < 2; {
		select {
		case m := <-x.answers:
			if m.Header.Get("Status") == noResponders {
				return errNoResponders
			}
			replies++
		case denied := <-x.denied:
			return denied
		case <-ctx.Done():
			return ctx.Err()
		case <-life.Done():
			return errLost
		case <-timer.C:
			if replies == 1 {
				return errOneReply
			}
			return errNoAnswer
		}
	}
	return nil
}

func (i *inspection) probePurge(ctx context.Context) error {
	k, stream := i.link, i.sink.config.Stream
	err := k.purge(ctx, stream, natssink.CheckpointSubject(i.sink.config.Subject, "no such stream"))
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		i.report.add(connector.FindingWarning, "NATS user", "it cannot remove older checkpoints: "+err.Error(),
			"allow it to publish to "+k.api+"STREAM.PURGE."+stream)
	}
	return nil
}
