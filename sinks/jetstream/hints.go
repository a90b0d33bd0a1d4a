package jetstream

import (
	"errors"
	"fmt"
	"strings"
	"sync"

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

// hints explains what a person can do about a stream, a server or a right that is not as required, with commands of the
// nats CLI.
type hints struct {
	config Config

	mu      sync.Mutex
	servers int  // with JetStream, as far as they answer
	existed bool // the stream has existed since this sink was opened
}

// exists records that the stream exists.
func (h *hints) exists() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.existed = true
}

// wasThere reports whether the stream has existed since the sink was opened.
func (h *hints) wasThere() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.existed
}

// command is a command of the nats CLI in backticks, for the JetStream that this sink uses.
func (h *hints) command(words string) string {
	switch {
	case h.config.Domain != "":
		words = "--js-domain " + h.config.Domain + " " + words
	case h.config.APIPrefix != "":
		words = "--js-api-prefix " + h.config.APIPrefix + " " + words
	}
	return "`nats " + words + "`"
}

// edit is the command that changes the stream's settings. The CLI reads a value that begins with a dash only after an
// equals sign.
func (h *hints) edit(flags string) string {
	return h.command("stream edit " + h.config.Stream + " " + flags)
}

// addCommand is the command that creates the stream, with as many replicas as the servers support.
func (h *hints) addCommand() string {
	replicas := h.config.Replicas
	if replicas == 0 {
		replicas = h.replicas()
	}
	limits := ""
	if h.config.MaxBytes > 0 {
		limits += fmt.Sprintf(" --max-bytes=%d", h.config.MaxBytes)
	}
	if h.config.MaxAge > 0 {
		limits += " --max-age=" + h.config.MaxAge.String()
	}
	return h.command(fmt.Sprintf("stream add %s --subjects '%s' --storage file --replicas %d --retention limits "+
		"--discard new%s --allow-batch --allow-msg-ttl --defaults",
		h.config.Stream, strings.Join(h.config.subjects(), ","), replicas, limits))
}

// restartHint explains how to restart a log on purpose.
func (h *hints) restartHint() string {
	if h.config.Create {
		return "restart the connector with `twochat-connector run --first-start`"
	}
	return h.addCommand() + ", then `twochat-connector run --first-start`"
}

// makeHint explains how to create a stream that does not exist.
func (h *hints) makeHint() string {
	if h.config.Create {
		return "`twochat-connector run` creates it when it starts"
	}
	return "create it with `sink.jetstream.create: true`, or: " + h.addCommand()
}

// subjectsCommand is the command that adds the missing subjects to those that the stream has.
func (h *hints) subjectsCommand(has []string) string { return h.edit(h.config.subjectsFlag(has)) }

// subjectsFlag is the flag of that command.
func (c Config) subjectsFlag(has []string) string {
	all := append([]string(nil), has...)
	for _, subject := range c.subjects() {
		if !covered(has, subject) {
			all = append(all, subject)
		}
	}
	return fmt.Sprintf("--subjects '%s'", strings.Join(all, ","))
}

// roomHint explains how a full stream gets room.
func (h *hints) roomHint(c *jetstream.StreamConfig) string {
	switch {
	case c.MaxBytes > 0:
		return h.edit(fmt.Sprintf("--max-bytes=%d", 2*c.MaxBytes)) +
			" doubles its byte limit; -1 removes it if the account does not require one"
	case c.MaxMsgs > 0:
		return h.edit("--max-msgs=-1") + " removes its message limit"
	}
	return "make room on the servers' disks, or raise the account's storage limit"
}

// allowHint explains which rights the connector needs.
func (h *hints) allowHint() string {
	return "allow it to publish to " + strings.Join(subjects(h.config.Subject), ", ") + " and " + h.config.api() +
		">, and to subscribe to _INBOX.>"
}

// denial is the refusal for a missing right. Of an event's subject it names only the stream, not the chat.
func (h *hints) denial(e *deniedError) *connector.Refusal {
	refuse := func(cause, hint string) *connector.Refusal {
		return &connector.Refusal{Thing: "NATS user", Cause: cause, Hint: hint}
	}
	prefix := strings.TrimSuffix(natssink.EventsSubject(h.config.Subject, ""), ">")
	switch {
	case strings.HasPrefix(e.subject, strings.TrimSuffix(memberSubjects(h.config.Subject), "*")):
		return memberHints{h}.denied(e.subscribe)
	case e.subscribe:
		return refuse("it may not subscribe to its inbox, where answers arrive", "allow it to subscribe to _INBOX.>")
	case strings.HasPrefix(e.subject, h.config.api()):
		right := h.apiRight(e.subject)
		return refuse("it may not use JetStream as the connector needs to: it has no right to publish to "+right,
			"allow it to publish to "+right+", or to all of "+h.config.api()+">")
	case strings.HasPrefix(e.subject, prefix):
		name, _, _ := strings.Cut(strings.TrimPrefix(e.subject, prefix), ".")
		return refuse("it has no right to publish to "+prefix+name+".>", h.allowHint())
	case strings.HasPrefix(e.subject, h.config.Subject+"-"):
		return refuse("it has no right to publish to "+e.subject, h.allowHint())
	}
	return refuse("it lacks a right", h.allowHint())
}

// apiRight is the right that a request to the JetStream API needs. It covers every consumer, as each has its own name.
func (h *hints) apiRight(subject string) string {
	for _, request := range []string{"CONSUMER.CREATE.", "CONSUMER.MSG.NEXT.", "CONSUMER.DELETE."} {
		if of := h.config.api() + request + h.config.Stream + "."; strings.HasPrefix(subject, of) {
			return of + ">"
		}
	}
	return subject
}

// streamedHint is for a JetStream API that is imported from another account.
const streamedHint = "export the JetStream API from its account with `response_type: stream` (in an operator's " +
	"setup: `nsc add export --service --response-type Stream`)"

// oneReply is the refusal if only the first of several replies arrives.
func (h *hints) oneReply() *connector.Refusal {
	return &connector.Refusal{
		Thing: "JetStream stream " + h.config.Stream,
		Cause: "only the first of several replies arrives, so the events cannot be read back",
		Hint:  streamedHint,
	}
}

// takesHint explains what to do if messages do not reach the stream.
func (h *hints) takesHint() string {
	if h.config.APIPrefix != "" {
		return "import the service " + strings.Join(subjects(h.config.Subject), ", ") + " of the stream's account too"
	}
	return "use the account that the stream is in, or import the service " +
		strings.Join(subjects(h.config.Subject), ", ") + " from it"
}

// unasked returns why the stream's settings cannot be read, if only a person can fix that; else nil.
func (h *hints) unasked(k *link, err error) *connector.Refusal {
	var api *apiError
	var denied *deniedError
	switch {
	case errors.As(err, &api):
		return h.refusal(api)
	case errors.As(err, &denied):
		return h.denial(denied)
	case errors.Is(err, errNoResponders) && !h.config.joined(k):
		return h.noJetStream()
	}
	return nil
}

// noJetStream is the refusal of a server that does not answer the JetStream API.
func (h *hints) noJetStream() *connector.Refusal {
	switch {
	case h.config.Domain != "":
		return &connector.Refusal{
			Thing: "JetStream domain " + h.config.Domain,
			Cause: "it does not answer: it has another name, or the leaf node is not connected to it now",
			Hint: "set `sink.jetstream.domain` to the jetstream.domain of the server with the stream, and check that the " +
				"leaf node's remote uses this account",
		}
	case h.config.APIPrefix != "":
		return &connector.Refusal{
			Thing: "JetStream API " + h.config.APIPrefix, Cause: "it does not answer: this account does not import it",
			Hint: "import the service $JS.API.> of the stream's account with `to: " + h.config.APIPrefix + ".>`",
		}
	}
	return &connector.Refusal{
		Thing: "JetStream", Cause: "it is not enabled, or this user may not use it",
		Hint: "enable JetStream in the server's configuration, or use the sink `nats` (best effort)",
	}
}

// vanished is the refusal of a stream that existed earlier in this process and is gone.
func (h *hints) vanished() *connector.Refusal {
	return &connector.Refusal{
		Thing: "JetStream stream " + h.config.Stream,
		Cause: "it was deleted while the connector ran, with its checkpoints, and is not recreated automatically",
		Hint:  "restore it from a backup, or start again with sequences from 1: " + h.restartHint(),
	}
}

// replicas is how many replicas the servers support: three, or one.
func (h *hints) replicas() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.servers >= 3 {
		return 3
	}
	return 1
}

// refusal is the refusal for an error that only a person can fix, or nil.
func (h *hints) refusal(api *apiError) *connector.Refusal {
	thing := "JetStream stream " + h.config.Stream
	switch api.Code {
	case codeStreamMissing:
		if h.wasThere() {
			return h.vanished()
		}
		return &connector.Refusal{Thing: thing, Cause: "it does not exist", Hint: h.makeHint()}
	case codeBatchesDisabled:
		return &connector.Refusal{Thing: thing, Cause: "it does not accept atomic batches", Hint: h.edit("--allow-batch")}
	case codeSealed:
		return &connector.Refusal{
			Thing: thing, Cause: "it is sealed, and accepts no messages",
			Hint: "if nothing in it is needed, remove it (" + h.command("stream rm "+h.config.Stream) + ") and " +
				h.makeHint(),
		}
	case codeNotEnabled, codeNotEnabledInAccount:
		return &connector.Refusal{
			Thing: thing, Cause: "JetStream is not enabled for this account",
			Hint: "enable JetStream in the server's configuration, or use the sink `nats` (best effort)",
		}
	}
	return nil
}
