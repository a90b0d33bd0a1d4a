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

// oldest is the first server version whose atomic batches are atomic when the leader changes.
var oldest = [3]int{2, 12, 2}

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

// tooOldServer is the refusal of a server; name is empty for the one that was asked.
func tooOldServer(name, version string) *connector.Refusal {
	return &connector.Refusal{
		Thing: strings.TrimSpace("NATS server " + strings.TrimSpace(name+" "+version)),
		Cause: "atomic batches need 2.12.2 at least",
		Hint: "upgrade nats-server to 2.12.2 or newer on every server of the cluster, or choose the sink `nats` (best " +
			"effort) or `file`",
	}
}

// metadataVersion is where the server that leads a stream writes its own version into what it tells of it.
const metadataVersion = "_nats.ver"

// leader judges the version of the server that leads the stream now, which need not be the one that we are connected
// to.
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

// stream judges the stream's settings.
func (r *report) stream(info *jetstream.StreamInfo, s *Sink) {
	c := info.Config
	thing := "JetStream stream " + c.Name
	anew := "this cannot be changed: where nothing in it is needed, remove it (" + s.hints.command("stream rm "+c.Name) +
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
		refuse(!covered(c.Subjects, subject), "it does not take the subject "+subject, s.hints.subjectsCommand(c.Subjects))
	}
	refuse(c.Mirror != nil, "it is a mirror, and takes nothing of its own", anew)
	refuse(c.Sealed, "it is sealed and takes nothing any more", anew)
	refuse(c.SubjectTransform != nil, "it moves messages to other subjects, and checkpoints would not be found again",
		s.hints.edit("--no-transform"))
	refuse(!c.AllowAtomicPublish, "it does not take atomic batches", s.hints.edit("--allow-batch"))
	refuse(c.PersistMode == jetstream.AsyncPersistMode, "it acknowledges before it has written (persist_mode async)", anew)
	refuse(c.Storage != jetstream.FileStorage, "it keeps messages in memory only", anew)
	refuse(c.Retention != jetstream.LimitsPolicy, "its retention removes what was consumed, or never stores it", anew)
	refuse(c.NoAck, "it acknowledges nothing", s.hints.edit("--ack"))
	warn(c.DenyPurge, "it denies purges: every checkpoint that was ever written stays", anew)
	limited := c.MaxMsgs > 0 || c.MaxBytes > 0
	refuse(c.Discard == jetstream.DiscardOld && limited,
		"when full it discards the oldest messages, the checkpoint of a quiet stream among them",
		s.hints.edit("--discard new"))
	warn(c.Discard == jetstream.DiscardOld && !limited, "it discards old messages, should a limit ever be set",
		s.hints.edit("--discard new"))
	refuse(c.MaxMsgsPerSubject > 0, "it keeps only "+strconv.FormatInt(c.MaxMsgsPerSubject, 10)+
		" messages a subject, and a chat is a subject", s.hints.edit("--max-msgs-per-subject=-1"))
	refuse(c.MaxAge > 0 && !c.AllowMsgTTL, "its max_age removes the checkpoint of a quiet stream too",
		s.hints.edit("--allow-msg-ttl"))
	small := c.MaxMsgSize > 0 && c.MaxMsgSize < 256<<10
	refuse(small, "it takes no message above "+strconv.Itoa(int(c.MaxMsgSize))+
		" bytes, too little for the checkpoint of a busy stream", s.hints.edit("--max-msg-size=-1"))
	warn(c.AllowRollup, "anyone who may publish to it can empty it with one header (Nats-Rollup)",
		s.hints.edit("--no-allow-rollup"))
	warn(!small && c.MaxMsgSize > 0 && c.MaxMsgSize < 1<<20, "larger messages than "+strconv.Itoa(int(c.MaxMsgSize))+
		" bytes would be lost to the quarantine", s.hints.edit("--max-msg-size=-1"))
	warn(c.Duplicates > 0 && c.Duplicates < 30*time.Second, "its duplicate window of "+c.Duplicates.String()+
		" hardly helps other publishers' retries", s.hints.edit("--dupe-window 2m"))
	r.replicas(thing, info, s)
	if len(*r) == before {
		r.add(connector.FindingOK, thing, fmt.Sprintf("%d replicas, on disk, discards nothing, atomic", c.Replicas), "")
	}
}

// purged warns that a log which starts again after a purge has to wait while the stream remembers the ids of what it
// held.
func (r *report) purged(info *jetstream.StreamInfo, claims []connector.Claim) {
	anew := slices.ContainsFunc(claims, func(c connector.Claim) bool { return c.FirstStart })
	forgets := info.State.LastTime.Add(info.Config.Duplicates)
	if anew && info.State.Msgs == 0 && info.State.LastSeq > 0 && time.Now().Before(forgets) {
		r.add(connector.FindingWarning, "JetStream stream "+info.Config.Name,
			fmt.Sprintf("%s, at %s", remembers(info.Config.Duplicates), forgets.UTC().Format("15:04:05 UTC")),
			"wait until then, or start now: the connector waits by itself")
	}
}

// replicas judges how many copies there are, and how the servers that hold them do.
func (r *report) replicas(thing string, info *jetstream.StreamInfo, s *Sink) {
	replicas := info.Config.Replicas
	more := "run nats-server as a cluster of three, and let the stream have three replicas there"
	if info.Cluster != nil && s.hints.replicas() >= 3 {
		more = s.hints.edit("--replicas 3")
	}
	switch {
	// A server inside this process is always a single one, as its user knows.
	case replicas == 1 && s.config.InProcess == nil:
		r.add(connector.FindingWarning, thing,
			"it has one replica: what its server acknowledged may be lost with that server's disk", more)
	case replicas == 2:
		r.add(connector.FindingWarning, thing, "two replicas stop when either is away, and are no safer than one", more)
	}
	if info.Cluster == nil {
		return
	}
	for _, peer := range info.Cluster.Replicas {
		if !peer.Current || peer.Offline {
			r.add(connector.FindingWarning, thing, "replica "+peer.Name+" lags or is away",
				"look after that server: "+s.hints.command("stream info "+info.Config.Name))
		}
	}
}
