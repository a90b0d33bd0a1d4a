package audit

import (
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
)

// Report is the result of an audit, for programs and for filing. It names messages by their uuids, and holds no texts,
// chats or numbers.
type Report struct {
	Format int       `json:"format"`
	Tool   cli.Build `json:"tool"`
	Began  time.Time `json:"began"`
	Ended  time.Time `json:"ended,omitzero"`
	Sink   string    `json:"sink"`
	// Since is how far back the lists were read; zero for the whole streams.
	Since  time.Time `json:"since,omitzero"`
	DryRun bool      `json:"dry_run,omitempty"`
	// About is the estimate before the lists were read.
	About   About          `json:"about"`
	Calls   int            `json:"calls"`
	Wrong   bool           `json:"wrong"`
	Streams []StreamReport `json:"streams"`
	// Unreadable counts the records among the events that are not events and do not say of which stream they are.
	// UnreadableAt is where the first of them are, at most a hundred.
	Unreadable   int      `json:"unreadable,omitempty"`
	UnreadableAt []string `json:"unreadable_at,omitempty"`
	// Unaudited are the streams that could not be audited, while others were.
	Unaudited []Unaudited `json:"unaudited,omitempty"`
}

// Unaudited is a stream that could not be audited, and what to do about it.
type Unaudited struct {
	Stream string `json:"stream"`
	Obstacle
}

// About estimates how much is to be read and how many calls that takes: the fewest on a list that stands still, the
// most on one that always changes.
type About struct {
	Messages  int `json:"messages"`
	Calls     int `json:"calls"`
	CallsMost int `json:"calls_most"`
}

// Subject is the stream that was audited.
type Subject struct {
	Stream string `json:"stream"`
	// HistoryOf is the live stream, if this is its history.
	HistoryOf string `json:"history_of,omitempty"`
	Source    string `json:"source"`
}

// StreamReport is what an audit found of one stream.
type StreamReport struct {
	Subject
	// Wrong means that something is still wrong, after a repair if there was one.
	Wrong bool `json:"wrong"`
	// Listed is how many messages were read from the list. Oldest and Newest are their times.
	Listed int       `json:"listed"`
	Oldest time.Time `json:"oldest,omitzero"`
	Newest time.Time `json:"newest,omitzero"`
	// Events is how many events the log holds, from FirstSequence to LastSequence. Certified is from its checkpoint.
	Events        int    `json:"events"`
	FirstSequence uint64 `json:"first_sequence"`
	LastSequence  uint64 `json:"last_sequence"`
	Certified     uint64 `json:"certified"`
	// ListDigest and LogDigest are SHA-256 digests of all that was read, to compare two reports.
	ListDigest string   `json:"list_digest"`
	LogDigest  string   `json:"log_digest"`
	Counts     Counts   `json:"counts"`
	Findings   Findings `json:"findings"`
	// FormerNames are those under which older events of the stream lie. These events are part of its log.
	FormerNames []FormerName `json:"former_names,omitempty"`
	// Elsewhere are the sequences that were delivered to other sinks, before a checkpoint was imported from there.
	Elsewhere connector.SequenceRanges `json:"elsewhere,omitempty"`
	// Skipped are the sequences that were passed over with --first-start.
	Skipped connector.SequenceRanges `json:"skipped,omitempty"`
	// BeforeRepair is what a repair of the missing messages has to wait for, if there is anything.
	BeforeRepair *Obstacle `json:"before_repair,omitempty"`
	Repair       *Repair   `json:"repair,omitempty"`
	Calls        int       `json:"calls"`
	Seconds      float64   `json:"seconds"`
}

// FormerName is a former name of a stream, with the number of events that lie under it.
type FormerName struct {
	Name   string `json:"name"`
	Events int    `json:"events"`
	// NoCheckpoint means that the name's checkpoint is gone.
	NoCheckpoint bool `json:"no_checkpoint,omitempty"`
}

// Counts are the numbers of errors.
type Counts struct {
	Missing    int    `json:"missing"`
	Doubled    int    `json:"doubled"`
	OutOfOrder int    `json:"out_of_order"`
	Changed    int    `json:"changed"`
	Erased     uint64 `json:"erased"`
	Unfinished int    `json:"unfinished"`
	Unreadable int    `json:"unreadable"`
}

// reportFormat is the version of the report's format: members may be added to it.
const reportFormat = 1

func newReport(c *config.Config, o Options) *Report {
	return &Report{
		Format: reportFormat, Tool: cli.ThisBuild(), Began: time.Now().UTC().Truncate(time.Second),
		Sink: c.Sink.Chosen()[0], Since: o.Start.Since, DryRun: o.DryRun, Streams: []StreamReport{},
	}
}

// finish decides what is wrong in the end.
func (r *Report) finish(calls int) {
	r.Ended, r.Calls = time.Now().UTC().Truncate(time.Second), calls
	for i := range r.Streams {
		s := &r.Streams[i]
		left := s.Counts
		if s.Repair != nil {
			left.Missing = s.Repair.Left
		}
		s.Wrong = left != Counts{}
		r.Wrong = r.Wrong || s.Wrong
	}
	r.Wrong = r.Wrong || r.Unreadable > 0
}

func newStreamReport(one *audited, list *Listed, f Findings) StreamReport {
	first, last := one.log.extent()
	s := StreamReport{
		Subject: Subject{Stream: one.claim.Stream.Name, Source: one.claim.Stream.Source()},
		Listed:  len(list.rows) + len(list.late),
		Events:  len(one.log.held()), FirstSequence: first, LastSequence: last, Certified: one.checkpoint.Certified,
		ListDigest: list.digest(), LogDigest: one.log.digest(), Findings: f, FormerNames: one.former,
		Elsewhere: one.checkpoint.Elsewhere, Skipped: one.checkpoint.Skipped,
		Counts: Counts{
			Missing: len(f.Missing), Doubled: len(f.Doubled), OutOfOrder: len(f.OutOfOrder), Changed: len(f.Changed),
			Erased: f.erased(), Unfinished: f.Unfinished, Unreadable: f.Unreadable,
		},
	}
	if one.live != nil {
		s.HistoryOf = one.live.stream.Name
	}
	for i := range list.rows {
		at := timeOf(&list.rows[i])
		if at.IsZero() {
			continue
		}
		if s.Oldest.IsZero() || at.Before(s.Oldest) {
			s.Oldest = at
		}
		if at.After(s.Newest) {
			s.Newest = at
		}
	}
	return s
}
