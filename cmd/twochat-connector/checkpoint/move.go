package checkpoint

import (
	"context"
	"fmt"
	"strings"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
)

// Move accepts that the configuration has another base URL for the same lists: for one stream, or for all. from is the
// base URL under which the checkpoints were written. A list is identified by the base URL and its numbers, so the
// former URL proves that nothing else is different.
func (e *Engine) Move(ctx context.Context, stream, from string, rekey bool) error {
	moves, err := e.moves(stream, from)
	if err != nil {
		return err
	}
	if hashed := string(e.config.Privacy.Identifiers) == string(twochat.IdentifiersHashed); hashed && !rekey {
		return cli.UsageOf(cli.Hinted(fmt.Errorf("the tokens of chats are hashed with the base URL, so chats would move to other keys and subjects"),
			"accept that with --rekey: what was written keeps its tokens; or let the name of the former base URL lead to the new host"))
	}
	if err := e.open(true); err != nil {
		return err
	}
	defer e.close()
	var results []Result
	for _, m := range moves {
		result, err := e.move(ctx, m, stream != "")
		if err != nil {
			return err
		}
		if result.Stream != "" {
			results = append(results, result)
		}
	}
	if len(results) == 0 {
		return cli.Hinted(fmt.Errorf("the sink holds no checkpoint of a configured stream"),
			"look at the streams' names, and at the sink's: `twochat-connector checkpoint show`")
	}
	return e.print(results...)
}

// moves are the claims of the streams, and of their histories, each with its former source key.
func (e *Engine) moves(stream, from string) ([]connector.Claim, error) {
	if !e.named {
		return nil, cli.UsageOf(errNotConfigured)
	}
	var moves []connector.Claim
	for _, one := range e.config.ByAccount() {
		privacy, err := pipeline.PrivacyOf(one)
		if err != nil {
			return nil, err
		}
		for _, claim := range pipeline.ClaimsOf(one, privacy, e.instance, pipeline.Overrides{}) {
			if stream != "" && claim.Stream.Name != stream {
				continue
			}
			s := claim.Stream
			s.SourceKey = connector.SourceKey(from, s.Number, s.Remote)
			former := privacy.Keyed(s)
			live, history := claim, claim
			live.Stream.FormerKey = former.SourceKey
			history.Stream = connector.HistoryStream(claim.Stream)
			history.Stream.FormerKey = connector.HistoryStream(former).SourceKey
			moves = append(moves, live, history)
		}
	}
	if len(moves) == 0 {
		_, err := e.claimOf(stream)
		return nil, err
	}
	return moves, nil
}

// move takes one stream over under its new source key. The result is empty if the sink has nothing of the stream.
func (e *Engine) move(ctx context.Context, claim connector.Claim, asked bool) (Result, error) {
	name := claim.Stream.Name
	c, found, err := e.peek(ctx, claim)
	switch {
	case err != nil:
		return Result{}, err
	case !found && asked && !strings.HasSuffix(name, historySuffix):
		return Result{}, cli.Hinted(fmt.Errorf("the sink holds no checkpoint of stream %s", name),
			"look at the stream's name, and at the sink's: `twochat-connector checkpoint show`")
	case !found:
		return Result{}, nil
	case c.SourceKey == claim.Stream.SourceKey:
		return Result{
			Stream: name, Sequence: c.Sequence,
			Text: fmt.Sprintf("stream %s is of this base URL already; nothing was changed", name),
		}, nil
	case c.RenamedTo == "" && !claim.Stream.HasSourceKey(c.SourceKey):
		return Result{}, cli.Hinted(fmt.Errorf("the checkpoint of stream %s was not written for this number under that base URL", name),
			"give the base URL that the configuration had before with --from, as it stood there; or the stream is of another number")
	}
	if err := e.unowned(ctx, &c, found, name); err != nil {
		return Result{}, err
	}
	log := e.sink.Log(claim)
	defer e.release(log)
	state, err := e.acquire(ctx, log)
	if err != nil {
		return Result{}, err
	}
	sequence := state.Checkpoint.Sequence
	result := Result{Stream: name, Sequence: sequence, Text: fmt.Sprintf(
		"stream %s is of the configured base URL from now on; the next event gets sequence %d", name, sequence+1)}
	if string(e.config.Privacy.Identifiers) == string(twochat.IdentifiersHashed) {
		result.note("chats have other tokens from there on: a chat's order holds up to %d, and after it", sequence)
	}
	return result, nil
}

// historySuffix ends the name of a history (connector.HistoryStream).
const historySuffix = "-history"
