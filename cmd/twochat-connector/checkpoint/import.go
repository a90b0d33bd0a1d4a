package checkpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// Import writes a checkpoint from a file into the configured sink, as the stream's own. The take-over itself records
// it: if it is interrupted, the sink holds either its former state or all of the new one.
func (e *Engine) Import(ctx context.Context, path string) error {
	c, from, err := (&importer{e}).readFile(path)
	if err != nil {
		return err
	}
	claim, err := e.claimOf(c.Stream)
	if err != nil {
		return err
	}
	if !claim.Stream.HasSourceKey(c.SourceKey) {
		return cli.Hinted(fmt.Errorf("the file is of another list (other number, remote or base URL) than stream %s of the configuration", c.Stream),
			"if only the base URL has changed, import it with the former one, and then use "+claim.MoveCommand(c))
	}
	// The file's checkpoint is checked like one in the sink would be.
	if err := (&guard{e, goesOn}).samePrivacy(claim, &c); err != nil {
		return err
	}
	if err := claim.Admit(c); err != nil {
		return err
	}
	if err := e.open(false); err != nil {
		return err
	}
	defer e.close()
	if pipeline.WantsCreate(e.config.Sink) && !e.beside {
		if err := e.sink.Create(ctx); err != nil {
			return err
		}
	}
	former, found, err := e.peek(ctx, claim)
	if err != nil {
		return err
	}
	if err := (&guard{e, goesOn}).unowned(ctx, &former, found, c.Stream); err != nil {
		return err
	}
	named := slices.Concat(c.FormerNames, former.FormerNames)
	names, last, err := formerNames(ctx, e.sink, claim, named)
	if err != nil {
		return err
	}
	c.FormerNames = names
	held, err := e.held(ctx, &c, names...)
	if err != nil {
		return err
	}
	if err := held.agree(&c); err != nil {
		return err
	}
	if held.known {
		c.Elsewhere = elsewhere(&c, &former, max(held.highest, former.Sequence, last))
	}
	if err := (&importer{e}).leaveQuarantine(ctx, &c, from); err != nil {
		return err
	}
	claim.FirstStart = true // the sink may be empty, or restored from a backup
	log := e.sink.Log(claim.With(c))
	defer e.release(log)
	state, err := e.acquire(ctx, log)
	if err != nil {
		return err
	}
	result := Result{
		Stream: c.Stream, Sequence: state.Checkpoint.Sequence, Text: fmt.Sprintf(
			"stream %s: the checkpoint of sequence %d is in the sink; the next event gets %d", c.Stream,
			state.Checkpoint.Sequence, state.Checkpoint.Sequence+1),
	}
	switch {
	case !held.known:
	case held.events == 0:
		result.note("this sink holds none of the events up to %d: they stay where they were written", c.Sequence)
	case c.Elsewhere.Has(c.Sequence):
		result.note("the newest events up to %d are not in this sink: they stay where they were written", c.Sequence)
	case held.highest < c.Sequence:
		result.note("the events from %d to %d are not in this sink: `twochat-connector audit --all --repair` brings back those "+
			"that 2Chat still lists", held.highest+1, c.Sequence)
	}
	result.note("late messages are found among the newest %d; further down, only below what is delivered from now on", len(c.Tail))
	result.note("what was erased on request, and the quarantine, stay in the sink that had them")
	if more := (pipeline.Names{Checkpoint: state.Checkpoint}).Elsewhere(); more != "" {
		result.note("%s", more)
	}
	return e.print(result)
}

// importer is an Engine that imports.
type importer struct{ *Engine }

// leaveQuarantine records how many of the quarantined messages the sink does not have, and where they are: what is in
// the quarantine stays in the sink that it was exported from.
func (e *importer) leaveQuarantine(ctx context.Context, c *connector.Checkpoint, from string) error {
	erased, err := e.erased(ctx, c)
	if err != nil {
		return err
	}
	counters := &c.Counters
	counters.Elsewhere = 0
	if from != "" {
		// Export has counted what was erased as settled. This sink may have the record of it, and would count it again.
		counters.Settled -= min(counters.Settled, counters.InQuarantine(nil)-counters.InQuarantine(erased))
	}
	held := map[string]struct{}{}
	for _, name := range append(slices.Clone(c.FormerNames), c.Stream) {
		err := e.sink.ReadBack(ctx, name, nil, func(reject []byte) error {
			var item struct{ ID, Source string }
			if json.Unmarshal(reject, &item) == nil && item.Source == (connector.Stream{Name: name}).Source() {
				held[item.ID] = struct{}{}
			}
			return nil
		})
		var refusal *connector.Refusal
		if errors.As(err, &refusal) { // a sink that keeps no quarantine
			break
		}
		if err != nil {
			return fmt.Errorf("read the quarantine of stream %s: %w", name, err)
		}
	}
	left := counters.InQuarantine(erased)
	counters.Elsewhere = left - min(left, uint64(len(held)))
	if from == e.sinkName() {
		from = ""
	}
	c.ImportedFrom = from
	return nil
}

// elsewhere are the sequences that were delivered to other sinks than the one that gets a checkpoint, given its own former
// checkpoint, if it has one, and the last sequence that it has reached.
func elsewhere(c, former *connector.Checkpoint, reached uint64) connector.SequenceRanges {
	switch {
	case reached <= c.Base:
		return connector.SequenceRanges{}.With(connector.SequenceRange{From: c.Base + 1, To: c.Sequence})
	case c.Elsewhere.Has(reached) && !former.Elsewhere.Has(reached): // the file's sink went on where this one's log ended
		return former.Elsewhere.With(connector.SequenceRange{From: reached + 1, To: c.Sequence})
	}
	return former.Elsewhere.With(c.Elsewhere...) // the file is from this sink: what it lacks was lost
}

// formerNames are those that a sink knows as renamed, of the ones in a file and in the sink's own checkpoint: what was
// written under the others stayed in the sink that the file is from. last is the last sequence under any of them.
func formerNames(
	ctx context.Context, sink sinks.Sink, claim connector.Claim, named []string,
) (names []string, last uint64, err error) {
	for _, name := range named {
		claim.Stream.Name = name
		c, there, err := pipeline.Peek(ctx, sink, claim)
		if err != nil {
			return nil, 0, fmt.Errorf("read the checkpoint of stream %s: %w", name, err)
		}
		if there && c.RenamedTo != "" && !slices.Contains(names, name) && len(names) < connector.MaxFormerNames {
			names, last = append(names, name), max(last, c.Sequence)
		}
	}
	return names, last, nil
}

// claimOf is the claim of a configured stream, or of its history.
func (e *Engine) claimOf(name string) (connector.Claim, error) {
	if e.named {
		for _, claim := range e.all {
			if claim.Stream.Name == name {
				return claim, nil
			}
			if history := connector.HistoryStream(claim.Stream); history.Name == name {
				claim.Stream = history
				return claim, nil
			}
		}
	}
	return connector.Claim{}, cli.UsageOf(cli.Hinted(fmt.Errorf("the configuration has no stream of the name %s", name),
		"give the number that name with `name:`, in the configuration that `run` is to be started with"))
}

// heldEvents describes what a log holds, as far as a checkpoint has to agree with it.
type heldEvents struct {
	known    bool // false: the sink keeps no events
	events   int
	highest  uint64
	conflict uint64 // a sequence at which the log has another message than the checkpoint; 0 if there is none
}

// held reads the log of a checkpoint's stream, and what lies under these former names of it.
func (e *Engine) held(ctx context.Context, c *connector.Checkpoint, former ...string) (heldEvents, error) {
	h := heldEvents{known: e.config.Sink.NATS == nil && e.config.Sink.Stdout == nil}
	if !h.known {
		return h, nil
	}
	first := c.Sequence - uint64(len(c.Tail)) + 1
	note := func(stored connector.StoredRecord) error {
		var event struct{ ID, Sequence string }
		if stored.Fault != nil || json.Unmarshal(stored.Event, &event) != nil {
			return nil // audit reports it
		}
		sequence, err := strconv.ParseUint(event.Sequence, 10, 64)
		if err != nil {
			return nil
		}
		h.events++
		h.highest = max(h.highest, sequence)
		if sequence >= first && sequence <= c.Sequence && c.Tail[sequence-first] != connector.MessageKey(event.ID) {
			h.conflict = sequence
		}
		return nil
	}
	for _, name := range append(slices.Clone(former), c.Stream) {
		if err := e.sink.ReadBack(ctx, name, note, func([]byte) error { return nil }); err != nil {
			return h, fmt.Errorf("read the log of stream %s: %w", name, err)
		}
	}
	return h, nil
}

// agree refuses a checkpoint that contradicts the log.
func (h heldEvents) agree(c *connector.Checkpoint) error {
	switch {
	case h.conflict != 0:
		return cli.Hinted(fmt.Errorf("the sink's log of stream %s has another message at sequence %d than the file: they are of different logs", c.Stream, h.conflict),
			"import it into the sink from which it was exported, a copy of it, or one without events of this stream")
	case h.highest > c.Sequence:
		return cli.Hinted(fmt.Errorf("the sink's log of stream %s goes on to sequence %d, and the file ends at %d: the numbers above would be used twice", c.Stream, h.highest, c.Sequence),
			"import a file that was exported later; or continue after the newest event with `twochat-connector run --first-start`")
	}
	return nil
}

// errNotConfigured means that no configuration names the numbers to be read.
var errNotConfigured = errors.New("expected a configuration that says which numbers are read: --config FILE")
