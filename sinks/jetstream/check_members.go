package jetstream

import (
	"context"
	"errors"
	"strings"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/connector"
	natssink "github.com/twochat-connector/twochat-connector/sinks/nats"
)

// unannounced is what follows if members cannot announce themselves.
const unannounced = ", so replicas do not find each other, and only one may run"

// memberHints are those about members.
type memberHints struct{ *hints }

// alone is why members cannot announce themselves in a stream with these settings; nil if they can.
func (h memberHints) alone(info *jetstream.StreamInfo) *connector.Refusal {
	c, subject := info.Config, memberSubjects(h.config.Subject)
	refuse := func(cause, hint string) *connector.Refusal {
		return &connector.Refusal{Thing: "JetStream stream " + c.Name, Cause: cause + unannounced, Hint: hint}
	}
	edit := ""
	if !covered(c.Subjects, subject) {
		edit = h.config.subjectsFlag(c.Subjects)
	}
	switch {
	case h.config.InProcess != nil:
		return refuse("it is inside this process", "use the sink `jetstream`, with a server that all replicas reach")
	case c.SubjectDeleteMarkerTTL > 0:
		return refuse("it leaves markers where messages expire, which look like members",
			h.edit("--subject-del-markers-ttl=0s"))
	case !c.AllowMsgTTL && edit != "":
		return refuse("it has no subject "+subject+", and accepts no messages that expire", h.edit(edit+" --allow-msg-ttl"))
	case !c.AllowMsgTTL:
		return refuse("it accepts no messages that expire", h.edit("--allow-msg-ttl"))
	case edit != "":
		return refuse("it has no subject "+subject, h.edit(edit))
	}
	return nil
}

// denied is the refusal for a missing right to the members' subject.
func (h memberHints) denied(subscribe bool) *connector.Refusal {
	subject := memberSubjects(h.config.Subject)
	hint := "allow it to publish and to subscribe to " + subject
	if subscribe {
		return &connector.Refusal{
			Thing: "NATS user", Hint: hint,
			Cause: "it may not subscribe to " + subject + ", so it finds out seconds later which replicas come and go",
		}
	}
	cause := "it has no right to publish to " + subject + unannounced
	return &connector.Refusal{Thing: "NATS user", Cause: cause, Hint: hint}
}

// members checks what several replicas need, and one does not: the findings are warnings. A message that no stream
// stores shows the rights to publish and to listen.
func (i *inspection) members(ctx context.Context, info *jetstream.StreamInfo) error {
	s, hints := i.sink, memberHints{i.sink.hints}
	warn := func(refusal *connector.Refusal) {
		i.report.add(connector.FindingWarning, refusal.Thing, refusal.Cause, refusal.Hint)
	}
	if s.config.InProcess != nil {
		return nil
	}
	if alone := hints.alone(info); alone != nil {
		warn(alone)
		return nil
	}
	// Of no member, and for a stream that does not exist: nothing is stored, and who listens ignores it.
	subject := natssink.MemberSubject(s.config.Subject, "")
	header := natsgo.Header{headerOnlyStream: {"twochat-connector-probe"}}
	err := i.confirmed(ctx, func() error {
		_, err := s.store(ctx, i.link, subject, nil, header)
		return err
	})
	var api *apiError
	var denied *deniedError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &api) && api.Code == codeOtherStream:
	case errors.As(err, &denied):
		warn(hints.denial(denied))
		return nil
	case errors.Is(err, errNoResponders), errors.Is(err, errNoAnswer): // no answer if only replicas listen
		warn(hints.unreached())
		return nil
	default:
		return err
	}
	e, err := s.listen(i.link)
	if err != nil {
		return err
	}
	defer e.close()
	if err := i.link.conn.PublishMsg(&natsgo.Msg{Subject: subject, Header: header}); err != nil {
		return errors.Join(errLost, err)
	}
	timer := time.NewTimer(i.link.answerTimeout(0))
	defer timer.Stop()
	select {
	case <-e.messages:
	case denied = <-e.denied:
		warn(hints.denial(denied))
	case <-timer.C:
		warn(hints.denied(true))
	case <-ctx.Done():
	}
	return ctx.Err()
}

// unreached is the refusal of announcements that reach no stream.
func (h memberHints) unreached() *connector.Refusal {
	subject := memberSubjects(h.config.Subject)
	return &connector.Refusal{
		Thing: "NATS user", Cause: "no stream of its account has the subject " + subject + unannounced,
		Hint: strings.Replace(h.takesHint(), strings.Join(subjects(h.config.Subject), ", "), subject, 1),
	}
}
