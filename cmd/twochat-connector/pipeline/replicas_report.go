package pipeline

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/connector/fleet"
	"github.com/twochat-connector/twochat-connector/connector/poller"
)

// ReplicasReport is what is known of the replicas that share the streams.
type ReplicasReport struct {
	// Self is the ID of this replica.
	Self string `json:"self"`
	// Members are all of them, by ID; none while this one waits for the others to notice it.
	Members []MemberReport `json:"members"`
	// Waiting is true until this replica has begun to read its share for the first time.
	Waiting bool `json:"waiting,omitempty"`
	// Unreached is true before the sink was reached, in which the replicas see each other.
	Unreached bool `json:"unreached,omitempty"`
	// Changes is how often the members have changed since the start.
	Changes int `json:"changes"`
	// Cause is why the members cannot be seen now; Members are the last ones seen then.
	Cause string `json:"cause,omitempty"`
	Hint  string `json:"hint,omitempty"`
	// Elsewhere are the owners of the streams that others read, by stream.
	Elsewhere map[string]string `json:"elsewhere,omitempty"`
}

// MemberReport is what is known of one replica.
type MemberReport struct {
	ID string `json:"id"`
	// Since is when this replica first saw it.
	Since time.Time `json:"since"`
	// Streams is how many of the streams belong to it.
	Streams int `json:"streams"`
}

// report is what is known now; nil if there is one process only.
func (r *replicas) report() *ReplicasReport {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	of := &ReplicasReport{
		Self: cmp.Or(r.view.Self, r.self), Members: []MemberReport{}, Changes: r.changes, Waiting: r.waiting,
		Cause: r.cause, Hint: r.hint,
		Elsewhere: map[string]string{},
	}
	count := map[string]int{}
	for stream, owner := range r.owners {
		count[owner]++
		if owner != of.Self && owner != "" {
			of.Elsewhere[stream] = owner
		}
	}
	for _, m := range r.view.Members {
		of.Members = append(of.Members, MemberReport{m.ID, m.Since.UTC(), count[m.ID]})
	}
	return of
}

// assign records the owner of each stream.
func (r *replicas) assign(accounts []*accountWorker) {
	view, owners := r.now(), map[string]string{}
	for _, a := range accounts {
		for _, s := range a.Config.Streams() {
			owners[s.Name] = view.Owner(s.Name)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.owners = owners
}

// unbegun is what the report has of the streams of an account before any has begun, and it is known which this replica
// reads.
func (a *accountWorker) unbegun(since time.Time) []StreamReport {
	var list []StreamReport
	for _, s := range a.Config.Streams() {
		status := poller.Status{
			Stream: s.Name, State: poller.StateAcquiring, Since: since.UTC(), Interval: a.Config.Poll.MinInterval,
		}
		list = append(list, StreamReport{Status: status, Account: a.Config.Account(), Trouble: trouble(status, since)})
	}
	return list
}

// Waits reports whether this replica reads nothing yet, as others may have to notice it first.
func (r *ReplicasReport) Waits() bool { return r != nil && (r.Waiting || len(r.Members) == 0) }

// WaitsFor is why this replica reads nothing yet; empty if it reads its share.
func (r *ReplicasReport) WaitsFor() string {
	switch {
	case !r.Waits():
		return ""
	case r.Unreached:
		return "known once the sink is reached"
	case r.Cause != "":
		return "known once this one sees the others in the sink"
	}
	return "this one waits until the others have noticed it"
}

// alone reports whether this replica reads every stream.
func (r *ReplicasReport) alone() bool { return len(r.Members) == 1 }

// readsAll is what a replica does that cannot see the others for long.
const readsAll = "replicas cannot find each other, so this one reads every stream"

// Trouble is why the others cannot be seen, and what this replica does meanwhile; empty if they can.
func (r *ReplicasReport) Trouble() string {
	switch {
	case r.Cause == "":
		return ""
	case r.alone():
		return readsAll + ": " + r.Cause
	}
	return "the others cannot be seen now, and this one goes on with the streams that it has: " + r.Cause
}

// membersNamed is how many replicas a text names.
const membersNamed = 5

// Text describes the replicas in a sentence; empty if there is nothing to tell apart.
func (r *ReplicasReport) Text() string {
	switch {
	case r == nil:
		return ""
	case r.Waits():
		return r.WaitsFor()
	case r.alone():
		return "this one reads every stream"
	}
	members := slices.Clone(r.Members)
	slices.SortStableFunc(members, func(a, b MemberReport) int { // itself first
		return compareBool(b.ID == r.Self, a.ID == r.Self)
	})
	var said []string
	for _, m := range members[:min(len(members), membersNamed)] {
		if m.ID == r.Self {
			said = append(said, "this one reads "+text.Counted(m.Streams, "stream"))
		} else {
			said = append(said, fmt.Sprintf("%s %d", r.NameOf(m.ID), m.Streams))
		}
	}
	if more := len(members) - membersNamed; more > 0 {
		said = append(said, fmt.Sprintf("%d more the others", more))
	}
	return fmt.Sprintf("%d: %s", len(members), strings.Join(said, ", "))
}

// ReplicaCounts are what the metrics of the replicas show.
type ReplicaCounts struct {
	Replicas, Streams, Configured, Changes int
	Unseen                                 bool
}

// countReplicas counts one replica for a sink that is for one process, so that alerts hold for all sinks.
func countReplicas(l *Pipeline) ReplicaCounts {
	c := ReplicaCounts{Replicas: 1, Streams: len(l.workers())}
	for _, a := range l.all() {
		c.Configured += len(a.Config.Streams())
	}
	if r := l.replicas; r != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		c.Replicas, c.Changes, c.Unseen = len(r.view.Members), r.changes, r.cause != ""
	}
	return c
}

// ReplicaMetrics are those of the replicas and of what they share.
func ReplicaMetrics(now func() ReplicaCounts) []prometheus.Collector {
	return []prometheus.Collector{
		gauge("replicas", "Replicas that share the streams, this one included; 0 while it waits for the others.",
			func() float64 { return float64(now().Replicas) }),
		gauge("replica_streams", "Streams that this replica reads.", func() float64 { return float64(now().Streams) }),
		gauge("configured_streams", "Streams of the configuration, whoever reads them.",
			func() float64 { return float64(now().Configured) }),
		gauge("replicas_unseen", "1 while this replica cannot see the others, and goes on with its streams or reads all.",
			func() float64 { return oneIf(now().Unseen) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: "twochat_connector", Name: "replica_changes_total",
			Help: "Changes of the replicas, as this one saw them.",
		}, func() float64 { return float64(now().Changes) }),
	}
}

// NameOf is what a person tells a replica by: where it runs.
func (r *ReplicasReport) NameOf(id string) string {
	var ids []string
	for _, m := range r.Members {
		ids = append(ids, m.ID)
	}
	return fleet.Names(ids)[id]
}
