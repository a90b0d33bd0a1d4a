package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/twochat-connector/twochat-connector/connector"
	natssink "github.com/twochat-connector/twochat-connector/sinks/nats"
)

// oldest is the first server version whose atomic batches are atomic when the leader changes.
var oldest = [3]int{2, 12, 2}

// report collects findings.
type report []connector.Finding

func (r *report) add(level connector.FindingLevel, thing, text, mend string) {
	*r = append(*r, connector.Finding{Level: level, Thing: thing, Text: text, Mend: mend})
}

// Check looks at the server, the stream and the rights. It writes nothing.
func (s *Sink) Check(ctx context.Context, claims []connector.Claim) ([]connector.Finding, error) {
	k, err := s.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("check: %w", err)
	}
	var r report
	r.server(k.conn.ConnectedServerVersion())
	info, err := k.streamInfo(ctx, s.config.Stream)
	var api *apiError
	switch {
	case errors.As(err, &api):
		var refusal *connector.Refusal
		if errors.As(s.refusal(api), &refusal) {
			r.add(connector.FindingRefused, refusal.Thing, refusal.Cause, refusal.Mend)
			r[len(r)-1].Missing = api.Code == codeStreamMissing
			return r, nil
		}
		return r, fmt.Errorf("check: read the stream's settings: %w", err)
	case errors.Is(err, errNoResponders), errors.Is(err, errNoAnswer) && errors.Is(k.conn.LastError(), natsgo.ErrPermissionViolation):
		r.add(connector.FindingRefused, "JetStream", "it is not enabled, or this user may not use it", "enable JetStream in the server's configuration and allow $JS.API.>, or use the sink `nats` (best effort)")
		return r, nil
	case err != nil:
		return r, fmt.Errorf("check: read the stream's settings: %w", err)
	}
	before := len(r)
	r.stream(info, s)
	refused := false
	for _, finding := range r[before:] {
		refused = refused || finding.Level == connector.FindingRefused
	}
	if !refused {
		if err := s.probe(ctx, k, &r, claims); err != nil {
			return r, fmt.Errorf("check: probe the rights: %w", err)
		}
	}
	return r, nil
}

func (r *report) server(version string) {
	thing := "NATS server " + version
	if tooOld(version) {
		r.add(connector.FindingRefused, thing, "atomic batches need 2.12.2 at least", "upgrade nats-server to 2.12.2 or newer, or choose the sink `nats` (best effort) or `file`")
		return
	}
	r.add(connector.FindingOK, thing, "has atomic batches", "")
}

// tooOld compares a version with the oldest one that serves. What cannot be read is taken for new enough: the stream's
// settings tell whether it knows batches.
func tooOld(version string) bool {
	numbers, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), "-")
	for i, digits := range strings.SplitN(numbers, ".", 3) {
		n, err := strconv.Atoi(digits)
		if err != nil {
			return false
		}
		if n != oldest[i] {
			return n < oldest[i]
		}
	}
	return false
}

// stream judges the stream's settings.
func (r *report) stream(info *jetstream.StreamInfo, s *Sink) {
	c := info.Config
	thing := "JetStream stream " + c.Name
	edit := func(flags string) string { return "nats stream edit " + c.Name + " " + flags }
	anew := "this cannot be changed: make another stream: " + s.addCommand()
	before := len(*r)
	refuse := func(bad bool, text, mend string) {
		if bad {
			r.add(connector.FindingRefused, thing, text, mend)
		}
	}
	warn := func(bad bool, text, mend string) {
		if bad {
			r.add(connector.FindingWarning, thing, text, mend)
		}
	}
	for _, subject := range subjects(s.config.Subject) {
		refuse(!covered(c.Subjects, subject), "it does not take the subject "+subject, s.subjectsCommand(c.Subjects))
	}
	refuse(c.Mirror != nil, "it is a mirror, and takes nothing of its own", "name another stream")
	refuse(c.Sealed, "it is sealed and takes nothing any more", "name another stream")
	refuse(c.SubjectTransform != nil, "it moves messages to other subjects, and checkpoints would not be found again", edit("--no-transform"))
	refuse(!c.AllowAtomicPublish, "it does not take atomic batches", edit("--allow-batch"))
	refuse(c.PersistMode == jetstream.AsyncPersistMode, "it acknowledges before it has written (persist_mode async)", anew)
	refuse(c.Storage != jetstream.FileStorage, "it keeps messages in memory only", anew)
	refuse(c.Retention != jetstream.LimitsPolicy, "its retention removes what was consumed, or never stores it", anew)
	refuse(c.NoAck, "it acknowledges nothing", edit("--ack"))
	warn(c.DenyPurge, "it denies purges: every checkpoint that was ever written stays", anew)
	limited := c.MaxMsgs > 0 || c.MaxBytes > 0
	refuse(c.Discard == jetstream.DiscardOld && limited, "when full it discards the oldest messages, the checkpoint of a quiet stream among them", edit("--discard new"))
	warn(c.Discard == jetstream.DiscardOld && !limited, "it discards old messages, should a limit ever be set", edit("--discard new"))
	refuse(c.MaxMsgsPerSubject > 0, "it keeps only "+strconv.FormatInt(c.MaxMsgsPerSubject, 10)+" messages a subject, and a chat is a subject", edit("--max-msgs-per-subject -1"))
	refuse(c.MaxAge > 0 && !c.AllowMsgTTL, "its max_age removes the checkpoint of a quiet stream too", edit("--allow-msg-ttl"))
	refuse(c.MaxMsgSize > 0 && c.MaxMsgSize < 256<<10, "it takes no message above "+strconv.Itoa(int(c.MaxMsgSize))+" bytes, too little for the checkpoint of a busy stream", edit("--max-msg-size -1"))
	warn(c.AllowRollup, "anyone who may publish to it can empty it with one header (Nats-Rollup)", edit("--no-allow-rollup"))
	warn(c.MaxMsgSize > 0 && c.MaxMsgSize < 1<<20, "larger messages than "+strconv.Itoa(int(c.MaxMsgSize))+" bytes would be lost to the quarantine", edit("--max-msg-size -1"))
	warn(c.Duplicates > 0 && c.Duplicates < 30*time.Second, "its duplicate window of "+c.Duplicates.String()+" hardly helps other publishers' retries", edit("--dupe-window 2m"))
	// A server inside this process is one server, as its user knows.
	warn(c.Replicas == 1 && s.config.InProcess == nil, "it has one replica: what its server acknowledged may be lost with that server's disk", edit("--replicas 3")+" (where there are three servers)")
	warn(c.Replicas == 2, "two replicas stop when either is away, and are no safer than one", edit("--replicas 3"))
	if info.Cluster != nil {
		for _, peer := range info.Cluster.Replicas {
			warn(!peer.Current, "replica "+peer.Name+" lags or is away", "look after that server: nats stream info "+c.Name)
		}
	}
	if len(*r) == before {
		r.add(connector.FindingOK, thing, fmt.Sprintf("%d replicas, on disk, discards nothing, atomic", c.Replicas), "")
	}
}

// probed is how many of the streams' names the rights are tried with.
const probed = 8

// probe tries the rights with requests that change nothing: messages for another stream, which the server refuses after it has
// admitted them, and a purge of a subject that does not exist.
func (s *Sink) probe(ctx context.Context, k *link, r *report, claims []connector.Claim) error {
	prefix, stream := s.config.Subject, s.config.Stream
	names := []string{"="}
	if len(claims) > 0 {
		names = nil
		for _, claim := range claims[:min(len(claims), probed)] {
			names = append(names, claim.Stream.Name)
		}
	}
	before := len(*r)
	for _, name := range names {
		events := strings.TrimSuffix(natssink.EventsSubject(prefix, name), ">") + connector.DirectionNew + ".check"
		for _, subject := range []string{events, natssink.CheckpointSubject(prefix, name), natssink.QuarantineSubject(prefix, name)} {
			m := &natsgo.Msg{Subject: subject, Header: natsgo.Header{headerOnlyStream: {"twochat-connector-probe"}}}
			short, cancel := context.WithTimeout(ctx, min(k.timeout, 2*time.Second))
			_, err := k.publish(short, nuid.Next(), []*natsgo.Msg{m}, false)
			cancel()
			var api *apiError
			switch {
			case errors.As(err, &api) && api.Code == codeOtherStream:
			case ctx.Err() != nil:
				return ctx.Err()
			case errors.Is(err, context.DeadlineExceeded), errors.Is(err, errNoAnswer):
				r.add(connector.FindingRefused, "NATS user", "no answer to a message on "+subject+": it may not publish there, or not subscribe to its inbox",
					"allow it to publish to "+strings.Join(subjects(prefix), ", ")+" and $JS.API.>, and to subscribe to _INBOX.>")
			case errors.Is(err, errNoResponders):
				r.add(connector.FindingRefused, "NATS user", "no stream of its account takes "+subject, "use the account that the stream is in")
			default:
				return err
			}
		}
	}
	_, _, err := k.get(ctx, stream, query{Last: checkpointSubjects(prefix)})
	if err != nil {
		r.add(connector.FindingRefused, "NATS user", "it cannot read the checkpoint back: "+err.Error(), "allow it to publish to $JS.API.STREAM.MSG.GET."+stream)
	}
	if err := k.purge(ctx, stream, natssink.CheckpointSubject(prefix, "no such stream")); err != nil {
		r.add(connector.FindingWarning, "NATS user", "it cannot remove older checkpoints: "+err.Error(), "allow it to publish to $JS.API.STREAM.PURGE."+stream)
	}
	if len(*r) == before {
		r.add(connector.FindingOK, "NATS user", "may publish, read back and purge", "")
	}
	return ctx.Err()
}

// window is the stream's duplicate window, as far as it is known.
func (s *Sink) window() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settings.duplicateWindow
}
