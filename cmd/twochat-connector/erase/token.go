package erase

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// identify completes a token of which only the beginning was given, as tail shows it, and finds what the token is made
// of: an event that was written without a pseudonym key shows that in its data, and with it the chat is found under other
// keys too.
func (e *Engine) identify(ctx context.Context, sink sinks.Sink) error {
	said := e.options.Chat
	if !twochat.IsToken(said) {
		return nil
	}
	tokens := make(map[string]string) // what each is made of
	see := func(stored connector.StoredRecord) error {
		if stored.Fault != nil {
			return nil
		}
		token, madeOf := twochat.ChatToken(stored.Event)
		if strings.HasPrefix(token, said) && tokens[token] == "" {
			tokens[strings.Clone(token)] = strings.Clone(madeOf)
		}
		return nil
	}
	if err := e.eachName(ctx, sink, see); err != nil {
		return err
	}
	if madeOf, whole := tokens[said]; whole {
		e.madeOf = madeOf
		return nil
	}
	switch list := slices.Collect(maps.Keys(tokens)); len(list) {
	case 0: // nothing will be found
	case 1:
		e.options.Chat, e.madeOf = list[0], tokens[list[0]]
	default:
		return cli.Hinted(fmt.Errorf("flag --chat: this is the beginning of the tokens of %s, so it names none of them",
			text.Counted(len(list), "chat")), "give the whole token, as `twochat-connector tail --no-follow --json` shows it in subject")
	}
	return nil
}

// eachName calls see with the events of all streams to erase from, under all their names, and of their histories.
func (e *Engine) eachName(ctx context.Context, sink sinks.Sink, see func(connector.StoredRecord) error) error {
	read := func(from sinks.Sink, name string) error {
		if err := from.ReadBack(ctx, name, see, func([]byte) error { return nil }); err != nil {
			return fmt.Errorf("read the events of stream %s: %w", name, err)
		}
		return nil
	}
	for _, stream := range e.options.Streams {
		claim := connector.Claim{Stream: stream}
		checkpoint, _, err := pipeline.Peek(ctx, sink, claim)
		if err != nil {
			return fmt.Errorf("read the checkpoint of stream %s: %w", stream.Name, err)
		}
		for _, name := range append([]string{stream.Name}, checkpoint.FormerNames...) {
			stream.Name = name
			if err := read(sink, name); err != nil {
				return err
			}
			history := connector.HistoryStream(stream)
			beside, err := e.historySink(sink, history)
			if err != nil {
				return err
			}
			if beside == nil {
				continue
			}
			if err := read(beside, history.Name); err != nil {
				return err
			}
		}
	}
	return nil
}
