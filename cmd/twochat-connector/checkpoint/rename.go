package checkpoint

import (
	"context"
	"fmt"
	"slices"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
)

// Rename gives a stream another name. The configuration may have either. connector.Rename explains why it can be
// interrupted at any time, and repeated.
func (e *Engine) Rename(ctx context.Context, from, to string) error {
	if err := config.CheckRename(e.config, from, to); err != nil {
		return cli.UsageOf(cli.Hinted(fmt.Errorf("stream %s cannot have the new name: %w", from, err),
			"choose a name that `name:` may have in the configuration"))
	}
	former, err := e.claimOf(from)
	if err != nil {
		if former, err = e.claimOf(to); err != nil {
			return cli.UsageOf(cli.Hinted(fmt.Errorf("the configuration has a stream of neither name"),
				"name a configuration that has one of them with --config"))
		}
		former.Stream.Name = from
	}
	if err := e.open(true); err != nil {
		return err
	}
	defer e.close()
	former.Rename = &connector.Rename{From: from, To: to}
	current := former
	current.Stream.Name = to
	old, found, err := e.peek(ctx, former)
	if err != nil {
		return err
	}
	if !found {
		return cli.Hinted(fmt.Errorf("the sink holds no checkpoint of stream %s", from),
			"`twochat-connector checkpoint show --stream NAME` looks for one")
	}
	there, taken, err := e.peek(ctx, current)
	if err != nil {
		return err
	}
	for _, key := range slices.Concat(old.FormerKeys, there.FormerKeys) {
		former.Rename.SourceKeys = append(former.Rename.SourceKeys, key.SourceKey) // current shares it
	}
	if err := (&guard{e, isRenamed}).samePrivacy(former, &old); err != nil {
		return err
	}
	if err := former.Admit(old); err != nil {
		return err
	}
	switch {
	case taken && old.RenamedTo == to && former.Retired(old) &&
		(slices.Contains(there.FormerNames, from) || there.RenamedTo != ""):
		return e.print(Result{Stream: to, Former: from, Sequence: there.Sequence, Text: fmt.Sprintf(
			"stream %s was renamed to %s before; nothing was changed", from, to)})
	case taken && old.RenamedTo != to && there.RenamedTo != from:
		return cli.Hinted(fmt.Errorf("the sink holds a checkpoint of the name %s already", to), "choose another name")
	case len(old.FormerNames) >= connector.MaxFormerNames && !slices.Contains(old.FormerNames, to):
		return cli.Hinted(fmt.Errorf("stream %s has %d former names already, and no more are remembered", from,
			len(old.FormerNames)), "keep this name")
	}
	if err := (&guard{e, isRenamed}).unowned(ctx, &old, found, from, to); err != nil {
		return err
	}
	done := taken && old.RenamedTo == to
	state, err := (&renamer{e}).rename(ctx, former, current, done, slices.Contains(there.FormerNames, from))
	if err != nil {
		return err
	}
	c := state.Checkpoint
	last := max(c.Sequence, there.Sequence) // the new name may have gone on
	result := Result{
		Stream: to, Former: from, Sequence: last, Text: fmt.Sprintf(
			"stream %s is %s from now on; the next event gets sequence %d", from, to, last+1),
		Notes: []string{fmt.Sprintf("set `name: %s` in the configuration, if it is not there yet", to)},
	}
	if err := (&renamer{e}).noteEvents(ctx, &result, former, &old, &there); err != nil {
		return err
	}
	result.note("late messages are found among the newest %d; further down, only below what is delivered from now on", len(c.Tail))
	if len(state.Erased) > 0 {
		result.note("what was erased on request is remembered under the name %s alone", from)
	}
	history := former
	history.Stream = connector.HistoryStream(former.Stream)
	if _, found, err := e.peek(ctx, history); err == nil && found {
		result.note("its history is a stream of its own: `twochat-connector checkpoint rename %s %s`", history.Stream.Name,
			to+history.Stream.Name[len(from):])
	}
	return e.print(result)
}

// finishes is what to do about a rename that ended half-way.
const finishes = "run the same command again: it finishes what is left"

// renamer is an Engine that renames.
type renamer struct{ *Engine }

// noteEvents says which events stay under a stream's former name: those since it got that name. old is the checkpoint
// that it had under it, and there the one that the new name had before, if it had one.
func (e *renamer) noteEvents(
	ctx context.Context, r *Result, former connector.Claim, old, there *connector.Checkpoint,
) error {
	if there.Stream != "" && there.RenamedTo == "" { // it had its checkpoint already: an earlier run was interrupted
		return nil
	}
	from, last := former.Stream.Name, old.Sequence
	begun := old.Base // the last sequence under an earlier name
	for _, name := range old.FormerNames {
		c := *there
		if name != there.Stream {
			claim := former
			claim.Stream.Name = name
			var err error
			if c, _, err = e.peek(ctx, claim); err != nil {
				return err
			}
		}
		if c.RenamedTo != "" && c.Sequence <= last {
			begun = max(begun, c.Sequence)
		}
	}
	for _, away := range old.Elsewhere { // the name may have begun in another sink
		if away.From <= begun+1 {
			begun = max(begun, away.To)
		}
	}
	const what = "their source, their subjects and their quarantine do not change"
	held := last - begun - old.Elsewhere.Count(begun+1, last)
	switch {
	case held == 0:
		r.note("no event was written under the name %s since the stream got it; what was written before stays as it is", from)
	case begun == old.Base && held == last-begun:
		r.note("the events up to %d stay under the name %s: %s", last, from, what)
	case held == last-begun:
		r.note("the events from %d to %d stay under the name %s, and earlier ones where they are: %s",
			begun+1, last, from, what)
	default:
		r.note("the events of this sink from %d to %d stay under the name %s: %s", begun+1, last, from, what)
	}
	return nil
}

// rename renames, in three commits. done means that the new name has its checkpoint already, and may have gone on.
// recorded means that this checkpoint has the former name, which earlier versions did not record.
func (e *renamer) rename(
	ctx context.Context, former, current connector.Claim, done, recorded bool,
) (connector.State, error) {
	log := e.sink.Log(former)
	defer e.release(log)
	state, err := e.acquire(ctx, log)
	if err != nil {
		return state, err
	}
	from, to := former.Stream.Name, current.Stream.Name
	if !done {
		current = current.With(state.Checkpoint)
	}
	if !done || !recorded {
		next := e.sink.Log(current)
		defer e.release(next)
		if _, err := e.acquire(ctx, next); err != nil {
			cause, hint := again(err, finishes)
			return state, cli.Hinted(fmt.Errorf("stream %s is recorded as renamed, and %s has no checkpoint of it yet: %w",
				from, to, cause), hint)
		}
	}
	retired := state.Checkpoint
	retired.SourceKey = connector.RetiredKey(former.Stream.SourceKey)
	if err := log.Commit(ctx, nil, nil, retired); err != nil {
		cause, hint := again(err, finishes)
		return state, cli.Hinted(fmt.Errorf("stream %s has its checkpoint, and that of %s is not retired yet: %w", to, from,
			cause), hint)
	}
	return state, nil
}
