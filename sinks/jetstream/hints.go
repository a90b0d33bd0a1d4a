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

// hints explains what a person can do about a stream, a server or a right that is not as it has to be, with commands of
// the nats CLI.
type hints struct {
	config Config

	mu      sync.Mutex
	servers int  // with JetStream, as far as they say
	existed bool // the stream was there since this sink was opened
}

// exists notes that the stream is there.
func (h *hints) exists() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.existed = true
}

// wasThere reports whether the stream was there since the sink was opened.
func (h *hints) wasThere() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.existed
}

// command is one of the nats CLI, for the JetStream that this sink uses.
func (h *hints) command(words string) string {
	switch {
	case h.config.Domain != "":
		return "nats --js-domain " + h.config.Domain + " " + words
	case h.config.APIPrefix != "":
		return "nats --js-api-prefix " + h.config.APIPrefix + " " + words
	}
	return "nats " + words
}

// edit is the command that changes the stream's settings. A value that begins with a dash is only read after an equals
// sign.
func (h *hints) edit(flags string) string {
	return h.command("stream edit " + h.config.Stream + " " + flags)
}

// addCommand makes the stream by hand, with as many replicas as the servers bear.
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
		h.config.Stream, strings.Join(subjects(h.config.Subject), ","), replicas, limits))
}

// restartHint says how to restart a log on purpose.
func (h *hints) restartHint() string {
	if h.config.Create {
		return "start the connector anew with `twochat-connector run --first-start`"
	}
	return h.addCommand() + ", then `twochat-connector run --first-start`"
}

// makeHint says how a stream that is not there is made.
func (h *hints) makeHint() string {
	if h.config.Create {
		return "start the connector anew, which makes it"
	}
	return "make it with `sink.jetstream.create: true`, or: " + h.addCommand()
}

// subjectsCommand adds the subjects that are wanting to those that the stream has.
func (h *hints) subjectsCommand(has []string) string {
	all := append([]string(nil), has...)
	for _, subject := range subjects(h.config.Subject) {
		if !covered(has, subject) {
			all = append(all, subject)
		}
	}
	return h.edit(fmt.Sprintf("--subjects '%s'", strings.Join(all, ",")))
}

// roomHint says how a stream that is full gets room.
func (h *hints) roomHint(c *jetstream.StreamConfig) string {
	switch {
	case c.MaxBytes > 0:
		return h.edit(fmt.Sprintf("--max-bytes=%d", 2*c.MaxBytes)) +
			" doubles its limit of bytes, and -1 lifts it where the account wants none"
	case c.MaxMsgs > 0:
		return h.edit("--max-msgs=-1") + " lifts its limit of messages"
	}
	return "make room on the servers' disks, or raise what the account may store"
}

// allowHint says which rights the connector needs.
func (h *hints) allowHint() string {
	return "allow it to publish to " + strings.Join(subjects(h.config.Subject), ", ") + " and " + h.config.api() +
		">, and to subscribe to _INBOX.>"
}

// denial is the refusal where a right is missing. It names only the stream of an event's subject, not the chat.
func (h *hints) denial(e *deniedError) *connector.Refusal {
	refuse := func(cause, hint string) *connector.Refusal {
		return &connector.Refusal{Thing: "NATS user", Cause: cause, Hint: hint}
	}
	prefix := strings.TrimSuffix(natssink.EventsSubject(h.config.Subject, ""), ">")
	switch {
	case e.subscribe:
		return refuse("it may not subscribe to its inbox, where the answers come", "allow it to subscribe to _INBOX.>")
	case strings.HasPrefix(e.subject, h.config.api()):
		right := h.apiRight(e.subject)
		return refuse("it may not use JetStream as the connector has to: it has no right to publish to "+right,
			"allow it to publish to "+right+", or to all of "+h.config.api()+">")
	case strings.HasPrefix(e.subject, prefix):
		name, _, _ := strings.Cut(strings.TrimPrefix(e.subject, prefix), ".")
		return refuse("it has no right to publish to "+prefix+name+".>", h.allowHint())
	case strings.HasPrefix(e.subject, h.config.Subject+"-"):
		return refuse("it has no right to publish to "+e.subject, h.allowHint())
	}
	return refuse("it lacks a right", h.allowHint())
}

// apiRight is the right that a request to the JetStream API takes: with whatever consumer, as each has a name of its
// own.
func (h *hints) apiRight(subject string) string {
	for _, request := range []string{"CONSUMER.CREATE.", "CONSUMER.MSG.NEXT.", "CONSUMER.DELETE."} {
		if of := h.config.api() + request + h.config.Stream + "."; strings.HasPrefix(subject, of) {
			return of + ">"
		}
	}
	return subject
}

// streamedHint is for a JetStream that is imported from another account.
const streamedHint = "export the JetStream API from its account with `response_type: stream` (in an operator's " +
	"setup: `nsc add export --service --response-type Stream`)"

// oneReply is the refusal where only the first of several replies arrives.
func (h *hints) oneReply() *connector.Refusal {
	return &connector.Refusal{
		Thing: "JetStream stream " + h.config.Stream,
		Cause: "only the first of several replies arrives, and the events cannot be read back",
		Hint:  streamedHint,
	}
}

// takesHint says what to do where messages do not reach the stream.
func (h *hints) takesHint() string {
	if h.config.APIPrefix != "" {
		return "import the service " + strings.Join(subjects(h.config.Subject), ", ") + " of the stream's account too"
	}
	return "use the account that the stream is in, or import the service " +
		strings.Join(subjects(h.config.Subject), ", ") + " from it"
}

// unasked returns why the stream's settings cannot be read, if only a person can fix that, else nil.
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
			Cause: "nobody answers for it: it has another name, or the leaf node is not joined to it now",
			Hint: "set `sink.jetstream.domain` to what the server with the stream has as jetstream.domain, and see that the " +
				"leaf node's remote is of this account",
		}
	case h.config.APIPrefix != "":
		return &connector.Refusal{
			Thing: "JetStream API " + h.config.APIPrefix, Cause: "nobody answers there: this account does not import it",
			Hint: "import the service $JS.API.> of the stream's account with `to: " + h.config.APIPrefix + ".>`",
		}
	}
	return &connector.Refusal{
		Thing: "JetStream", Cause: "it is not enabled, or this user may not use it",
		Hint: "enable JetStream in the server's configuration, or use the sink `nats` (best effort)",
	}
}

// vanished is the refusal of a stream that was there since this sink was opened.
func (h *hints) vanished() *connector.Refusal {
	return &connector.Refusal{
		Thing: "JetStream stream " + h.config.Stream,
		Cause: "it was deleted while the connector ran, with the checkpoints in it, and is not recreated by itself",
		Hint:  "restore it from a backup, or start again, knowing that sequences begin at 1 again: " + h.restartHint(),
	}
}

// replicas is how many replicas the servers bear: three, or one.
func (h *hints) replicas() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.servers >= 3 {
		return 3
	}
	return 1
}

// refusal is what only a person can fix, or nil.
func (h *hints) refusal(api *apiError) *connector.Refusal {
	thing := "JetStream stream " + h.config.Stream
	switch api.Code {
	case codeStreamMissing:
		if h.wasThere() {
			return h.vanished()
		}
		return &connector.Refusal{Thing: thing, Cause: "it does not exist", Hint: h.makeHint()}
	case codeBatchesDisabled:
		return &connector.Refusal{Thing: thing, Cause: "it does not take atomic batches", Hint: h.edit("--allow-batch")}
	case codeSealed:
		return &connector.Refusal{
			Thing: thing, Cause: "it is sealed and takes nothing any more",
			Hint: "where nothing in it is needed, remove it (" + h.command("stream rm "+h.config.Stream) + ") and " +
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
