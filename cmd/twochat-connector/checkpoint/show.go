package checkpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/connector"
)

// Shown is what a checkpoint records, without the ids of messages.
type Shown struct {
	Stream  string    `json:"stream"`
	Found   bool      `json:"found"`
	Version int       `json:"version,omitempty"`
	Written time.Time `json:"written,omitzero"`
	Owner   string    `json:"owner,omitempty"`
	Epoch   uint64    `json:"epoch,omitempty"`
	// Started is false until the first start has recorded which messages are not wanted.
	Started     bool               `json:"started"`
	Sequence    uint64             `json:"sequence"`
	Certified   uint64             `json:"certified"`
	Uncertified uint64             `json:"uncertified"`
	Base        uint64             `json:"base,omitempty"`
	Tail        int                `json:"tail"`
	TailLate    int                `json:"tail_late"`
	Floor       int                `json:"floor"`
	Horizon     int                `json:"horizon"`
	HorizonAt   uint64             `json:"horizon_at,omitempty"`
	Accepting   bool               `json:"accepting,omitempty"`
	Accepted    bool               `json:"accepted,omitempty"`
	EndOpen     bool               `json:"end_open,omitempty"`
	Rejects     int                `json:"reject_ids"`
	GroundTime  time.Time          `json:"ground_time,omitzero"`
	MonthBegun  time.Time          `json:"month_begun,omitzero"`
	Privacy     string             `json:"privacy,omitempty"`
	SourceKey   string             `json:"source_key,omitempty"` // its first characters
	Counters    connector.Counters `json:"counters"`
	Sink        json.RawMessage    `json:"sink,omitempty"`
	// ImportedFrom describes the sink from which the checkpoint was imported into this one.
	ImportedFrom string `json:"imported_from,omitempty"`
	// Wrong is why an instance with this configuration could not continue from it, and Hint what to do.
	Wrong string `json:"wrong,omitempty"`
	Hint  string `json:"hint,omitempty"`
}

// Show prints what the checkpoints record: that of a stream, or those of all configured streams. The error is
// cli.ErrFoundWrong if one is missing, or was written under another configuration.
func (e *Engine) Show(ctx context.Context, stream string) error {
	claims := e.claims(stream)
	if len(claims) == 0 {
		if stream == "" {
			return cli.Usage("expected --stream NAME, as no configuration says which streams there are")
		}
		// A stream that is not configured any more, or a history that backfill has delivered.
		claims = []connector.Claim{{Stream: connector.Stream{Name: stream}, TypePrefix: e.config.Events.TypePrefix}}
	}
	all, err := e.shown(ctx, claims)
	if err != nil {
		return err
	}
	wrong := false
	for i := range all {
		all[i].Hint = e.program.Hint(all[i].Hint)
		wrong = wrong || all[i].Wrong != ""
	}
	if err := e.printShown(all); err != nil {
		return err
	}
	if wrong {
		return cli.ErrFoundWrong
	}
	return nil
}

// shown reads the checkpoints of the claims. Where the sink's own file or folder is missing, there is none of any
// stream.
func (e *Engine) shown(ctx context.Context, claims []connector.Claim) ([]Shown, error) {
	all := make([]Shown, len(claims))
	if path := lacking(e.config.Sink); path != "" {
		for i, claim := range claims {
			all[i] = Shown{Stream: claim.Stream.Name, Wrong: fmt.Sprintf(noSink, path), Hint: noSinkHint}
		}
		return all, nil
	}
	if err := e.open(true); err != nil {
		return nil, err
	}
	defer e.close()
	for i, claim := range claims {
		c, found, err := e.peek(ctx, claim)
		var refusal *connector.Refusal
		switch {
		case errors.As(err, &refusal): // such as that the broker has no such stream or topic
			told, _ := connector.DiagnosticOf(err)
			all[i] = Shown{Stream: claim.Stream.Name, Wrong: told.Text(), Hint: told.Hint}
		case err != nil:
			return nil, err
		default:
			all[i] = shownOf(claim, c, found)
		}
	}
	return all, nil
}

// shownOf is what is shown of a checkpoint.
func shownOf(claim connector.Claim, c connector.Checkpoint, found bool) Shown {
	s := Shown{
		Stream: claim.Stream.Name, Found: found, Version: c.Version, Written: c.Written, Owner: brief(c.Owner),
		Epoch: c.Epoch, Started: c.Started, Sequence: c.Sequence, Certified: c.Certified,
		Uncertified: c.Sequence - c.Certified, Base: c.Base, Tail: len(c.Tail), TailLate: len(c.TailLate),
		Floor: len(c.Floor), Horizon: len(c.Horizon), HorizonAt: c.HorizonAt, Accepting: c.Accepting != nil,
		Accepted: c.Accepted, EndOpen: c.UncheckedEnd != nil, Rejects: len(c.Rejects), GroundTime: c.GroundTime,
		MonthBegun: c.MonthBegun, Privacy: c.Privacy, SourceKey: brief(c.SourceKey), Counters: c.Counters, Sink: c.Sink,
		ImportedFrom: c.ImportedFrom,
	}
	if !found {
		s.Wrong = "the sink holds no checkpoint of this name"
		s.Hint = "`twochat-connector check` says whether `run` begins the stream, or what it needs; look also at its name, and the sink's"
		return s
	}
	if claim.Stream.SourceKey == "" { // there is nothing to compare it with
		return s
	}
	if told, refused := connector.DiagnosticOf(claim.Admit(c)); refused {
		s.Wrong, s.Hint = told.Cause, told.Hint
	}
	return s
}

// brief shortens a name. No more of a source key is shown, as the number in it could be found by trying all numbers.
func brief(name string) string {
	const most = 8
	if len(name) <= most {
		return name
	}
	return name[:most] + "…"
}

func (e *Engine) printShown(all []Shown) error {
	if e.options.JSON {
		return cli.PrintJSON(e.program.Out, all)
	}
	var out strings.Builder
	for i := 0; i < len(all); {
		if i > 0 {
			out.WriteByte('\n')
		}
		names := alike(all[i:])
		all[i].write(&out, names, time.Now())
		i += len(names)
	}
	return e.program.Print(out.String())
}

// alike names the first stream, and those after it of which the same is wrong because the sink has nothing of them.
func alike(all []Shown) []string {
	names := []string{text.Printable(all[0].Stream)}
	for _, s := range all[1:] {
		if s.Found || all[0].Found || s.Wrong != all[0].Wrong || s.Hint != all[0].Hint {
			break
		}
		names = append(names, text.Printable(s.Stream))
	}
	return names
}

// write writes what is shown of the streams with these names, of which s is the first.
func (s Shown) write(out *strings.Builder, names []string, now time.Time) {
	line := func(word, format string, args ...any) {
		fmt.Fprintf(out, "  %-14s%s\n", word, fmt.Sprintf(format, args...))
	}
	word := "stream"
	if len(names) > 1 {
		word = "streams"
	}
	fmt.Fprintf(out, "%s %s\n", word, strings.Join(names, ", "))
	if s.Found {
		s.lines(line, now)
	}
	if s.Wrong != "" {
		line("✗ wrong", "%s", s.Wrong)
		line("→", "%s", s.Hint)
	}
}

// lines are the facts of a checkpoint that was found.
func (s Shown) lines(line func(word, format string, args ...any), now time.Time) {
	number := func(n uint64) string { return text.Thousands(n) }
	line("written", "%s UTC, %s, by instance %s (epoch %s)", s.Written.UTC().Format(time.DateTime),
		text.Ago(s.Written, now), text.Printable(s.Owner), number(s.Epoch))
	if !s.Started {
		line("started", "no: nothing was read yet")
	}
	line("sequence", "%s, that of the newest event; the next one gets %s", number(s.Sequence), number(s.Sequence+1))
	if s.Uncertified == 0 {
		line("certified", "%s: all of it, and no message is expected below", number(s.Certified))
	} else {
		line("certified", "%s: below it nothing that was listed is missing; the %s above it are not proven yet",
			number(s.Certified), number(s.Uncertified))
	}
	if s.Base > 0 {
		line("begins after", "%s: an earlier log used the numbers up to it", number(s.Base))
	}
	line("seen", "the ids of the newest %s, %s of them late", text.Counted(s.Tail, "event"), number(uint64(s.TailLate)))
	line("floor", "%s that the first start left out", text.Counted(s.Floor, "message"))
	switch {
	case s.Accepting:
		line("horizon", "%s; what is held below is being delivered", text.Counted(s.Horizon, "message"))
	case s.Accepted:
		line("horizon", "%s; what was held below was delivered", text.Counted(s.Horizon, "message"))
	case s.Horizon > 0:
		line("horizon", "%s: what is listed there and below is held, since sequence %s", text.Counted(s.Horizon, "message"),
			number(s.HorizonAt))
	}
	if s.EndOpen {
		line("list's end", "still to be looked at again")
	}
	line("counted", "late %s, held %s, in the quarantine %s, listed empty %s, suppressed %s", number(s.Counters.Late),
		number(s.Counters.Held), number(s.Counters.InQuarantine(nil)), number(s.Counters.Empty),
		number(s.Counters.Suppressed))
	if n := s.Counters.Elsewhere; n > 0 {
		line("elsewhere", "%s in the quarantine of another sink%s", number(n), s.from())
	}
	if !s.GroundTime.IsZero() {
		line("ground time", "%s UTC, the middle one of the newest certified messages", s.GroundTime.UTC().Format(time.DateTime))
	}
	if !s.MonthBegun.IsZero() {
		line("month", "the account's began %s UTC, as far as was seen", s.MonthBegun.UTC().Format(time.DateTime))
	}
	line("privacy", "%s", text.Printable(s.Privacy))
	line("list", "source key %s", text.Printable(s.SourceKey))
	if places := placesOf(s.Sink); places != "" {
		line("sink", "%s", places)
	}
	line("format", "version %d; this program writes %d", s.Version, connector.CheckpointVersion)
}

// from names the sink from which the checkpoint was imported, after a comma; "" if that is not known.
func (s Shown) from() string {
	if s.ImportedFrom == "" {
		return ""
	}
	return ", " + text.Printable(s.ImportedFrom)
}

// placesOf describes a sink's own positions, as far as they interest a person.
func placesOf(sink json.RawMessage) string {
	var p struct {
		Partitions int
		Part       int
		End        int64
	}
	if len(sink) == 0 || json.Unmarshal(sink, &p) != nil {
		return ""
	}
	switch {
	case p.Partitions > 0:
		return fmt.Sprintf("chats are spread over %s", text.Counted(p.Partitions, "partition"))
	case p.Part > 0:
		return fmt.Sprintf("part %d of the file, byte %s", p.Part, text.Thousands(p.End))
	}
	return ""
}
