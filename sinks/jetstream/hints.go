package jetstream

import (
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/connector"
	natssink "github.com/twochat-connector/twochat-connector/sinks/nats"
)

// api is the prefix of the JetStream API's subjects, with the dot.
func (c Config) api() string {
	switch {
	case c.Domain != "":
		return "$JS." + c.Domain + ".API."
	case c.APIPrefix != "":
		return c.APIPrefix + "."
	}
	return "$JS.API."
}

// command is one of the nats CLI, for the JetStream that this sink uses.
func (s *Sink) command(words string) string {
	switch {
	case s.config.Domain != "":
		return "nats --js-domain " + s.config.Domain + " " + words
	case s.config.APIPrefix != "":
		return "nats --js-api-prefix " + s.config.APIPrefix + " " + words
	}
	return "nats " + words
}

// edit is the command that changes the stream's settings. A value that begins with a dash is only read after an equals sign.
func (s *Sink) edit(flags string) string {
	return s.command("stream edit " + s.config.Stream + " " + flags)
}

// addCommand makes the stream by hand, with as many replicas as the servers bear.
func (s *Sink) addCommand() string {
	replicas := s.config.Replicas
	if replicas == 0 {
		replicas = s.replicas()
	}
	limits := ""
	if s.config.MaxBytes > 0 {
		limits += fmt.Sprintf(" --max-bytes=%d", s.config.MaxBytes)
	}
	if s.config.MaxAge > 0 {
		limits += " --max-age=" + s.config.MaxAge.String()
	}
	return s.command(fmt.Sprintf("stream add %s --subjects '%s' --storage file --replicas %d --retention limits --discard new%s --allow-batch --allow-msg-ttl --defaults",
		s.config.Stream, strings.Join(subjects(s.config.Subject), ","), replicas, limits))
}

// makeAnewHint says how to begin a log anew by intention.
func (s *Sink) makeAnewHint() string {
	if s.config.Create {
		return "start the connector anew with `twochat-connector run --first-start`"
	}
	return s.addCommand() + ", then `twochat-connector run --first-start`"
}

// makeHint says how a stream that is not there is made.
func (s *Sink) makeHint() string {
	if s.config.Create {
		return "start the connector anew, which makes it"
	}
	return "make it with `sink.jetstream.create: true`, or: " + s.addCommand()
}

// subjectsCommand adds the subjects that are wanting to those that the stream has.
func (s *Sink) subjectsCommand(has []string) string {
	all := append([]string(nil), has...)
	for _, subject := range subjects(s.config.Subject) {
		if !covered(has, subject) {
			all = append(all, subject)
		}
	}
	return s.edit(fmt.Sprintf("--subjects '%s'", strings.Join(all, ",")))
}

// roomHint says how a stream that is full gets room.
func (s *Sink) roomHint(c *jetstream.StreamConfig) string {
	switch {
	case c.MaxBytes > 0:
		return s.edit(fmt.Sprintf("--max-bytes=%d", 2*c.MaxBytes)) + " doubles its limit of bytes, and -1 lifts it where the account wants none"
	case c.MaxMsgs > 0:
		return s.edit("--max-msgs=-1") + " lifts its limit of messages"
	}
	return "make room on the servers' disks, or raise what the account may store"
}

// allowHint says which rights the connector needs.
func (s *Sink) allowHint() string {
	return "allow it to publish to " + strings.Join(subjects(s.config.Subject), ", ") + " and " + s.config.api() + ">, and to subscribe to _INBOX.>"
}

// denial is the refusal where a right is lacking. Of an event's subject it names no more than the stream.
func (s *Sink) denial(e *deniedError) *connector.Refusal {
	refuse := func(cause, hint string) *connector.Refusal {
		return &connector.Refusal{Thing: "NATS user", Cause: cause, Hint: hint}
	}
	prefix := strings.TrimSuffix(natssink.EventsSubject(s.config.Subject, ""), ">")
	switch {
	case e.subscribe:
		return refuse("it may not subscribe to its inbox, where the answers come", "allow it to subscribe to _INBOX.>")
	case strings.HasPrefix(e.subject, s.config.api()):
		right := s.apiRight(e.subject)
		return refuse("it may not use JetStream as the connector has to: it has no right to publish to "+right, "allow it to publish to "+right+", or to all of "+s.config.api()+">")
	case strings.HasPrefix(e.subject, prefix):
		name, _, _ := strings.Cut(strings.TrimPrefix(e.subject, prefix), ".")
		return refuse("it has no right to publish to "+prefix+name+".>", s.allowHint())
	case strings.HasPrefix(e.subject, s.config.Subject+"-"):
		return refuse("it has no right to publish to "+e.subject, s.allowHint())
	}
	return refuse("it lacks a right", s.allowHint())
}

// apiRight is the right that a request to the JetStream API takes: with whatever consumer, as each has a name of its own.
func (s *Sink) apiRight(subject string) string {
	for _, request := range []string{"CONSUMER.CREATE.", "CONSUMER.MSG.NEXT.", "CONSUMER.DELETE."} {
		if of := s.config.api() + request + s.config.Stream + "."; strings.HasPrefix(subject, of) {
			return of + ">"
		}
	}
	return subject
}

// streamedHint is for a JetStream that is imported from another account.
const streamedHint = "export the JetStream API from its account with `response_type: stream` (in an operator's setup: `nsc add export --service --response-type Stream`)"

// oneReply is the refusal where only the first of several replies arrives.
func (s *Sink) oneReply() *connector.Refusal {
	return &connector.Refusal{
		Thing: "JetStream stream " + s.config.Stream, Cause: "only the first of several replies arrives, and the events cannot be read back",
		Hint: streamedHint,
	}
}
