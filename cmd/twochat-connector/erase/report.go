package erase

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/connector"
)

// Report is the result for a chat. It names neither the chat nor its messages.
type Report struct {
	Sink    string          `json:"sink"`
	DryRun  bool            `json:"dry_run,omitempty"`
	Streams []*StreamReport `json:"streams"`
	// Kept lists what stays in the sink, and what to do about it.
	Kept []connector.Finding `json:"kept,omitempty"`
	// Unreadable counts the records among the events that are not events, so that it is not known whether they hold
	// anything of the chat.
	Unreadable int `json:"unreadable,omitempty"`

	places map[connector.RecordPosition]struct{} // of these
}

// unreadable records one. Several streams may be shown the same.
func (r *Report) unreadable(at connector.RecordPosition) {
	if r.places == nil {
		r.places = make(map[connector.RecordPosition]struct{})
	}
	r.places[at] = struct{}{}
	r.Unreadable = len(r.places)
}

// StreamReport is what was found of the chat in one stream, and what was erased.
type StreamReport struct {
	Stream string `json:"stream"`
	// FormerNameOf is the present name of the stream, if Stream is a former name of it or the history of one.
	FormerNameOf string `json:"former_name_of,omitempty"`
	// Chats is how many chats the events are of: one number may have several, over several channels.
	Chats   int                    `json:"chats"`
	Events  Tally                  `json:"events"`
	Rejects Tally                  `json:"rejects"`
	Erased  connector.ErasedCounts `json:"erased"`
	// Unreachable counts the events that were written with a pseudonym key which is not configured any more, so that the
	// chat was not found among them.
	Unreachable int `json:"unreachable,omitempty"`
	// ByToken means that the chat was named by its token, so that it was not found among events of another key.
	ByToken bool `json:"by_token,omitempty"`
	// NoCheckpoint means that the checkpoint of the former name is gone, so that nothing can be erased under it.
	NoCheckpoint bool `json:"no_checkpoint,omitempty"`
	// Elsewhere counts the events that were delivered to another sink, which is not reached, before the checkpoint was
	// imported into this one. ElsewhereSink names the one that the checkpoint was imported from last, for people.
	Elsewhere     uint64 `json:"elsewhere,omitempty"`
	ElsewhereSink string `json:"elsewhere_sink,omitempty"`
	// Places are the parts of the sink that hold the events, if it is Kafka.
	Places []Place `json:"places,omitempty"`
}

// Tally is how many were examined, and how many of those belong to the chat.
type Tally struct {
	Looked int `json:"looked_at"`
	Found  int `json:"found"`
}

// Place is a partition, with the first and the last offset of the chat's events.
type Place struct {
	Partition int   `json:"partition"`
	First     int64 `json:"first_offset"`
	Last      int64 `json:"last_offset"`
	Events    int   `json:"events"`
}

// place records where an event is stored.
func (s *StreamReport) place(stored connector.StoredRecord) {
	at := stored.Position.At
	for i := range s.Places {
		if p := &s.Places[i]; p.Partition == stored.Part {
			p.First, p.Last, p.Events = min(p.First, at), max(p.Last, at), p.Events+1
			return
		}
	}
	s.Places = append(s.Places, Place{stored.Part, at, at, 1})
}

// name is the stream's name, for a person.
func (s *StreamReport) name() string {
	if s.FormerNameOf != "" {
		return fmt.Sprintf("%s (former name of %s)", s.Stream, s.FormerNameOf)
	}
	return s.Stream
}

// counts is the sum over all streams.
func (r *Report) counts() (all connector.ErasedCounts) {
	for _, s := range r.Streams {
		all.Events += s.Events.Found
		all.Rejects += s.Rejects.Found
	}
	return all
}

// incomplete reports whether something of the chat stays, or may stay.
func (r *Report) incomplete() bool {
	return r.Unreadable > 0 || slices.ContainsFunc(r.Streams, func(s *StreamReport) bool {
		return s.Unreachable > 0 || s.NoCheckpoint && s.Events.Found+s.Rejects.Found > 0
	})
}

// ask asks whether to erase.
func (r *Report) ask(to io.Writer) error {
	var out strings.Builder
	r.found(&out)
	out.WriteString("Erase this for good? Type yes: ")
	return text.Print(to, out.String())
}

// found describes what there is of the chat.
func (r *Report) found(out *strings.Builder) {
	for _, s := range r.Streams {
		of := ""
		if s.Chats > 1 {
			of = fmt.Sprintf(" (%d chats)", s.Chats)
		}
		fmt.Fprintf(out, "Stream %s: %s of its %s%s and %s of the %s in its quarantine are of this chat.\n", s.name(),
			text.Thousands(s.Events.Found), text.Counted(s.Events.Looked, "event"), of,
			text.Thousands(s.Rejects.Found), text.Counted(s.Rejects.Looked, "item"))
	}
}

// print prints the result, for a person or as JSON.
func (r *Report) print(p *cli.Program, asJSON bool) error {
	if asJSON {
		return cli.PrintJSON(p.Out, r)
	}
	var out strings.Builder
	switch {
	case r.counts() == connector.ErasedCounts{}:
		for _, s := range r.Streams {
			fmt.Fprintf(&out, "Stream %s: nothing of this chat is among its %s, nor in its quarantine.\n", s.name(),
				text.Counted(s.Events.Looked, "event"))
		}
		out.WriteString("If it should be there, name it in another way: by the number with its country code, by the " +
			"whole WhatsApp id or session key, or by the whole token that its events have as their subject. What 2Chat lists " +
			"and run or backfill has not read yet is not in the log, and comes when it is read.\n")
	case r.DryRun || len(r.Kept) > 0:
		r.found(&out)
	default:
		for _, s := range r.Streams {
			fmt.Fprintf(&out, "Stream %s: erased %s and %s in the quarantine.\n", s.name(),
				text.Counted(s.Erased.Events, "event"), text.Counted(s.Erased.Rejects, "item"))
		}
		out.WriteString(`
Their uuids stay, so that nothing brings them back; audit tells them apart. What
was not in the log yet is delivered when it is read, as what comes into the chat
later. While run or backfill catches up, that is also what 2Chat lists already:
erase again when it has caught up.
Not reached: what consumers have taken, backups and mirrors of the sink, and the
chat in 2Chat itself.
`)
	}
	for _, s := range r.Streams {
		switch {
		case s.Unreachable > 0 && s.ByToken:
			fmt.Fprintf(&out, "\nStream %s: %s of it were written with another key than the one that made this token, and the "+
				"chat was not found among them.\n  → name the chat by its number, its session key or its WhatsApp id, or by "+
				"the token that it has there\n", s.name(), text.Counted(s.Unreachable, "event"))
		case s.Unreachable > 0:
			fmt.Fprintf(&out, "\nStream %s: %s of it were written with a pseudonym key that is not configured any more, and "+
				"the chat was not found among them.\n    give the token that it has there, as its events have it as their "+
				"subject: `twochat-connector erase --chat TOKEN --yes`\n", s.name(), text.Thousands(s.Unreachable))
		}
		if s.Elsewhere > 0 {
			fmt.Fprintf(&out, "\nStream %s: %s were delivered to another sink, which is not reached: %s\n  → erase there too, with "+
				"a configuration that names it\n", s.name(), text.Counted(int(s.Elsewhere), "event"),
				cmp.Or(s.ElsewhereSink, "an earlier version did not record which"))
		}
		if s.NoCheckpoint {
			fmt.Fprintf(&out, "\nStream %s: the checkpoint of this name is gone, so nothing of it can be erased: %s and %s of "+
				"this chat stay.\n", s.name(), text.Counted(s.Events.Found, "event"), text.Counted(s.Rejects.Found, "item"))
			if s.Events.Found+s.Rejects.Found > 0 {
				out.WriteString("    restore it from a backup of the sink, or remove them with the sink's own tools\n")
			}
		}
	}
	if r.Unreadable > 0 {
		fmt.Fprintf(&out, "\n%s among the events cannot be read, so it is not known whether anything of this chat is there.\n"+
			"  → `twochat-connector audit --all` says where\n", text.Counted(r.Unreadable, "record"))
	}
	for _, kept := range r.Kept {
		fmt.Fprintf(&out, "\n%s: %s\n", kept.Thing, kept.Text)
		if kept.Hint != "" {
			fmt.Fprintf(&out, "  → %s\n", kept.Hint)
		}
	}
	return p.Print(out.String())
}
