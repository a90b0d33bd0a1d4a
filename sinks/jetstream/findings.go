package jetstream

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/connector"
)

// report collects findings.
type report []connector.Finding

func (r *report) add(level connector.FindingLevel, thing, text, hint string) {
	*r = append(*r, connector.Finding{Level: level, Thing: thing, Text: text, Hint: hint})
}

func (r *report) refuse(refusal *connector.Refusal) {
	r.add(connector.FindingRefused, refusal.Thing, refusal.Cause, refusal.Hint)
}

// refused reports whether any finding from an index on is a refusal.
func (r *report) refused(from int) bool {
	for _, finding := range (*r)[from:] {
		if finding.Level == connector.FindingRefused {
			return true
		}
	}
	return false
}

// oldest is the first server version whose batches stay atomic when the leader changes.
var oldest = [3]int{2, 12, 2}

// tooOld compares a version with the oldest supported one. A version that cannot be parsed counts as new enough: the
// stream's settings show whether the server supports batches.
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

// tooOldServer is the refusal of a server; name is empty for the server that we are connected to.
func tooOldServer(name, version string) *connector.Refusal {
	return &connector.Refusal{
		Thing: strings.TrimSpace("NATS server " + strings.TrimSpace(name+" "+version)),
		Cause: "atomic batches need at least 2.12.2",
		Hint: "upgrade nats-server to 2.12.2 or newer on every server of the cluster, or choose the sink `nats` (best " +
			"effort) or `file`",
	}
}

// metadataVersion is the key under which the server that leads a stream reports its own version.
const metadataVersion = "_nats.ver"

// leader checks the version of the server that leads the stream, which need not be the one that we are connected to.
func (r *report) leader(info *jetstream.StreamInfo) {
	version := info.Config.Metadata[metadataVersion]
	if version == "" || !tooOld(version) {
		return
	}
	name := ""
	if info.Cluster != nil {
		name = info.Cluster.Leader
	}
	r.refuse(tooOldServer(name, version))
}

// stream checks the stream's settings.
func (r *report) stream(info *jetstream.StreamInfo, s *Sink) {
	c := info.Config
	thing := "JetStream stream " + c.Name
	anew := "this cannot be changed: if nothing in it is needed, remove it (" + s.hints.command("stream rm "+c.Name) +
		") and " + s.hints.makeHint()
	before := len(*r)
	refuse := func(bad bool, text, hint string) {
		if bad {
			r.add(connector.FindingRefused, thing, text, hint)
		}
	}
	warn := func(bad bool, text, hint string) {
		if bad {
			r.add(connector.FindingWarning, thing, text, hint)
		}
	}
	for _, subject := range subjects(s.config.Subject) {
		refuse(!covered(c.Subjects, subject), "it does not have the subject "+subject, s.hints.subjectsCommand(c.Subjects))
	}
	refuse(c.Mirror != nil, "it is a mirror, and accepts no messages of its own", anew)
	refuse(c.Sealed, "it is sealed, and accepts no messages", anew)
	refuse(c.SubjectTransform != nil, "it moves messages to other subjects, so checkpoints would not be found again",
		s.hints.edit("--no-transform"))
	refuse(!c.AllowAtomicPublish, "it does not accept atomic batches", s.hints.edit("--allow-batch"))
	refuse(c.PersistMode == jetstream.AsyncPersistMode, "it acknowledges messages before they are written (persist_mode async)", anew)
	refuse(c.Storage != jetstream.FileStorage, "it keeps messages in memory only", anew)
	refuse(c.Retention != jetstream.LimitsPolicy, "its retention policy removes consumed messages, or does not store them", anew)
	refuse(c.NoAck, "it does not acknowledge messages", s.hints.edit("--ack"))
	warn(c.DenyPurge, "it denies purges, so every checkpoint stays for ever", anew)
	limited := c.MaxMsgs > 0 || c.MaxBytes > 0
	refuse(c.Discard == jetstream.DiscardOld && limited,
		"when full it discards the oldest messages, also the checkpoint of a quiet stream",
		s.hints.edit("--discard new"))
	warn(c.Discard == jetstream.DiscardOld && !limited, "it would discard old messages if a limit were set",
		s.hints.edit("--discard new"))
	refuse(c.MaxMsgsPerSubject > 0, "it keeps only "+strconv.FormatInt(c.MaxMsgsPerSubject, 10)+
		" messages on each subject, and a chat is a subject", s.hints.edit("--max-msgs-per-subject=-1"))
	refuse(c.MaxAge > 0 && !c.AllowMsgTTL, "its max_age removes the checkpoint of a quiet stream too",
		s.hints.edit("--allow-msg-ttl"))
	small := c.MaxMsgSize > 0 && c.MaxMsgSize < 256<<10
	refuse(small, "it accepts no message above "+strconv.Itoa(int(c.MaxMsgSize))+
		" bytes, which is too little for the checkpoint of a busy stream", s.hints.edit("--max-msg-size=-1"))
	warn(c.AllowRollup, "anybody who may publish to it can empty it with one header (Nats-Rollup)",
		s.hints.edit("--no-allow-rollup"))
	warn(!small && c.MaxMsgSize > 0 && c.MaxMsgSize < 1<<20, "messages larger than "+strconv.Itoa(int(c.MaxMsgSize))+
		" bytes would go to the quarantine", s.hints.edit("--max-msg-size=-1"))
	warn(c.Duplicates > 0 && c.Duplicates < 30*time.Second, "its duplicate window of "+c.Duplicates.String()+
		" is too short to cover other publishers' retries", s.hints.edit("--dupe-window 2m"))
	r.replicas(thing, info, s)
	if len(*r) == before {
		r.add(connector.FindingOK, thing, fmt.Sprintf("%d replicas, on disk, discards nothing, accepts atomic batches", c.Replicas), "")
	}
}

// purged warns that a log which starts again after a purge has to wait while the stream remembers the ids of the
// removed messages.
func (r *report) purged(info *jetstream.StreamInfo, claims []connector.Claim) {
	anew := slices.ContainsFunc(claims, func(c connector.Claim) bool { return c.FirstStart })
	forgets := info.State.LastTime.Add(info.Config.Duplicates)
	if anew && info.State.Msgs == 0 && info.State.LastSeq > 0 && time.Now().Before(forgets) {
		r.add(connector.FindingWarning, "JetStream stream "+info.Config.Name,
			fmt.Sprintf("%s, at %s", remembers(info.Config.Duplicates), forgets.UTC().Format("15:04:05 UTC")),
			"wait until then, or start now: the connector waits by itself")
	}
}

// replicas checks how many copies there are, and the state of the servers that hold them.
func (r *report) replicas(thing string, info *jetstream.StreamInfo, s *Sink) {
	replicas := info.Config.Replicas
	more := "run nats-server as a cluster of three servers, and give the stream three replicas"
	if info.Cluster != nil && s.hints.replicas() >= 3 {
		more = s.hints.edit("--replicas 3")
	}
	switch {
	// A server inside this process is always a single one, as its user knows.
	case replicas == 1 && s.config.InProcess == nil:
		r.add(connector.FindingWarning, thing,
			"it has one replica: acknowledged messages may be lost with that server's disk", more)
	case replicas == 2:
		r.add(connector.FindingWarning, thing, "with two replicas it stops when either server is down, and is no safer than with one", more)
	}
	if info.Cluster == nil {
		return
	}
	for _, peer := range info.Cluster.Replicas {
		if !peer.Current || peer.Offline {
			r.add(connector.FindingWarning, thing, "replica "+peer.Name+" lags or is down",
				"check that server: "+s.hints.command("stream info "+info.Config.Name))
		}
	}
}
