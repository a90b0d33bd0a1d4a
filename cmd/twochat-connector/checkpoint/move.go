package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
)

// Move accepts that the configuration has another base URL for the same lists: for one stream, or for all. from is the
// base URL under which the checkpoints were written. A list is identified by the base URL and its numbers, so the
// former URL proves that nothing else is different. All streams are checked before the first one is changed. Each is
// changed by one commit, so a move that is interrupted leaves some streams moved, and the others as they were; the
// same command goes on with those.
func (e *Engine) Move(ctx context.Context, stream, from string) error {
	return (&mover{e}).run(ctx, stream, from)
}

// mover is an Engine that moves.
type mover struct{ *Engine }

func (e *mover) run(ctx context.Context, stream, from string) error {
	lists, err := e.moves(stream, from)
	if err != nil {
		return err
	}
	if e.hashed() && !e.options.Rekey {
		return cli.UsageOf(cli.Hinted(fmt.Errorf("the tokens of chats are hashed with the base URL, so chats would move to other keys and subjects"),
			"accept that with --rekey: what was written keeps its tokens; or let the name of the former base URL lead to the new host"))
	}
	if err := e.open(true); err != nil {
		return err
	}
	defer e.close()
	var plan []planned
	var wrong []error
	for _, of := range lists {
		p, err := e.plan(ctx, of, stream != "")
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			wrong = append(wrong, err)
		case p.found:
			plan = append(plan, p)
		}
	}
	switch {
	case len(wrong) > 0:
		return cli.Together(wrong)
	case len(plan) == 0:
		return cli.Hinted(fmt.Errorf("the sink holds no checkpoint of a configured stream"),
			"look at the streams' names, and at the sink's: `twochat-connector checkpoint show`")
	}
	results := make([]Result, len(plan))
	for i, p := range plan {
		if results[i], err = e.move(ctx, p); err != nil {
			return halfMoved(plan, i, err)
		}
	}
	return e.print(results...)
}

// hashed reports whether the tokens of chats depend on the base URL.
func (e *mover) hashed() bool {
	return string(e.config.Privacy.Identifiers) == string(twochat.IdentifiersHashed)
}

// halfMoved says which streams of a plan were moved before the error, at the one with the index failed, and which were
// not.
func halfMoved(plan []planned, failed int, err error) error {
	var moved, left []string
	for i, p := range plan {
		switch name := p.claim.Stream.Name; {
		case p.done:
		case i < failed:
			moved = append(moved, name)
		default:
			left = append(left, name)
		}
	}
	said := "nothing was moved"
	if len(moved) > 0 {
		said = "moved so far: " + strings.Join(moved, ", ")
	}
	cause, hint := again(err,
		"run the same command again: it goes on with those that are not moved, and changes nothing of the others")
	return cli.Hinted(fmt.Errorf("%s; not moved: %s, because of stream %s: %w", said, strings.Join(left, ", "),
		plan[failed].claim.Stream.Name, cause), hint)
}

// again returns an error that ends a command half-way, without its hint, and the hint with what comes after it.
func again(err error, then string) (cause error, hint string) {
	told, found := connector.DiagnosticOf(err)
	switch {
	case errors.Is(err, context.Canceled):
		return errors.New("it was interrupted"), then
	case !found:
		return err, then
	case told.Hint == "":
		return errors.New(told.Text()), then
	}
	return errors.New(told.Text()), told.Hint + "; then " + then
}

// movable is a list that may be moved.
type movable struct {
	claim connector.Claim // with the source key that it had under the former base URL
	plain string          // that source key, as privacy modes without a key write it
}

// moves are the streams, and their histories.
func (e *mover) moves(stream, from string) ([]movable, error) {
	if !e.named {
		return nil, cli.UsageOf(errNotConfigured)
	}
	var moves []movable
	for _, one := range e.config.ByAccount() {
		privacy, err := pipeline.PrivacyOf(one)
		if err != nil {
			return nil, err
		}
		for _, claim := range pipeline.ClaimsOf(one, privacy, e.instance, pipeline.Overrides{}) {
			if stream != "" && claim.Stream.Name != stream {
				continue
			}
			claim.Rekey = e.options.Rekey
			plain := claim.Stream
			plain.SourceKey = connector.SourceKey(from, plain.Number, plain.Remote)
			former := privacy.Keyed(plain)
			live, history := claim, claim
			live.Stream.FormerKey = former.SourceKey
			history.Stream = connector.HistoryStream(claim.Stream)
			history.Stream.FormerKey = connector.HistoryStream(former).SourceKey
			moves = append(moves, movable{live, plain.SourceKey},
				movable{history, connector.HistoryStream(plain).SourceKey})
		}
	}
	if len(moves) == 0 {
		_, err := e.claimOf(stream)
		return nil, err
	}
	return moves, nil
}

// planned is a stream that is to be moved, after it was checked.
type planned struct {
	claim      connector.Claim
	checkpoint connector.Checkpoint
	found      bool // false: the sink has nothing of the stream
	done       bool // it is of the configured base URL already
}

// plan checks whether a stream can be moved, and changes nothing. asked means that the stream was named.
func (e *mover) plan(ctx context.Context, of movable, asked bool) (planned, error) {
	p := planned{claim: of.claim}
	name := of.claim.Stream.Name
	var err error
	if p.checkpoint, p.found, err = e.peek(ctx, of.claim); err != nil {
		return p, err
	}
	c := &p.checkpoint
	if c.SourceKey == of.plain { // a privacy mode without a key was in force
		p.claim.Stream.FormerKey = of.plain
	}
	claim := p.claim
	switch {
	case !p.found && asked && !strings.HasSuffix(name, historySuffix):
		return p, cli.Hinted(fmt.Errorf("the sink holds no checkpoint of stream %s", name),
			"look at the stream's name, and at the sink's: `twochat-connector checkpoint show`")
	case !p.found:
		return p, nil
	case c.SourceKey == claim.Stream.SourceKey && c.RenamedTo == "":
		p.done = true
		return p, nil
	case c.RenamedTo == "" && claim.Comparable(*c) && !claim.Stream.HasSourceKey(c.SourceKey):
		return p, cli.Hinted(fmt.Errorf("the checkpoint of stream %s was not written for this number under that base URL", name),
			"give the base URL that the configuration had before with --from, as it stood there; or the stream is of another number")
	}
	if err := (&guard{e.Engine, isRefused}).samePrivacy(claim, c); err != nil {
		return p, err
	}
	if err := (&guard{e.Engine, isRefused}).unowned(ctx, c, p.found, name); err != nil {
		return p, err
	}
	return p, e.sink.CheckAcquire(ctx, claim)
}

// move takes one stream over under its new source key.
func (e *mover) move(ctx context.Context, p planned) (Result, error) {
	name := p.claim.Stream.Name
	if p.done {
		return Result{
			Stream: name, Sequence: p.checkpoint.Sequence,
			Text: fmt.Sprintf("stream %s is of this base URL already; nothing was changed", name),
		}, nil
	}
	log := e.sink.Log(p.claim)
	defer e.release(log)
	state, err := e.acquire(ctx, log)
	if err != nil {
		return Result{}, err
	}
	sequence := state.Checkpoint.Sequence
	result := Result{Stream: name, Sequence: sequence, Text: fmt.Sprintf(
		"stream %s is of the configured base URL from now on; the next event gets sequence %d", name, sequence+1)}
	if e.hashed() || p.checkpoint.Privacy != p.claim.Privacy {
		result.note("chats have other tokens from there on: a chat's order holds up to %d, and after it", sequence)
	}
	return result, nil
}

// historySuffix ends the name of a history (connector.HistoryStream).
const historySuffix = "-history"
