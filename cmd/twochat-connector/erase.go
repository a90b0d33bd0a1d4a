package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/erase"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/connector"
)

const aboutErase = `
Removes one chat from the sink: its events, and its items in the quarantine,
byte by byte. What backfill delivered of it goes too. The uuids stay, so that
nothing brings the messages back (run, backfill, audit --repair), and audit tells
them apart as erased. What is not in the log yet is delivered when it is read:
let run or backfill catch up first, or erase again when it has.

    twochat-connector erase --chat '+595 981 048 477' --dry-run
    twochat-connector erase --chat - < number.txt --yes

--chat takes the remote number in any spelling that has the country code; or a
chat's session key or WhatsApp id; or its token, as events have it in subject, or
the beginning of it that tail shows. A token finds what was written under other
keys only where an event shows the chat in clear; else the exit code is 3.
A group is a chat of its own: what somebody wrote in it goes with the group
alone. What stands on a command line can be seen by other users of the machine:
--chat - reads it from the standard input.

JetStream and the embedded server overwrite each message; a file's lines are
overwritten where they stand, so that nobody who follows it loses their place.
It takes the streams over for that: an instance that runs meanwhile stands down
and goes on by itself after a few intervals (--take-over, where it answers); a
file has to be given up by ` + "`run`" + ` first. It may be killed at any time: the same
command goes on.

A stream that ` + "`checkpoint rename`" + ` gave another name is searched under its former
names too, which stay retired, and under the keys of its time: where a pseudonym
key is gone, the exit code is 3, and the token of that time finds it. A stream
that was imported from another sink is searched in this sink alone: what is in the
former sink stays there.

Kafka cannot remove single events: there it says which partitions hold them, how
long they are kept, and the command that shortens that, and ends with exit code
3. NATS without JetStream and the standard output keep nothing.
`

// runErase is the command erase.
func runErase(ctx context.Context, p *cli.Program, args []string) error {
	flags := cli.NewFlags(p)
	settings := cli.ConfigFlags(flags)
	var o erase.Options
	flags.StringVar(&o.Chat, "chat", "", "`chat` to erase: a number, a session key or a token; - reads it from the standard input")
	stream := flags.String("stream", "", "only from the stream of this `name`; from all that are configured, if left out")
	flags.BoolVar(&o.DryRun, "dry-run", false, "say how much there is of it, and erase nothing")
	flags.BoolVar(&o.Yes, "yes", false, "do not ask")
	flags.BoolVar(&o.TakeOver, "take-over", false, "erase although a running instance answers: it stands down meanwhile")
	flags.BoolVar(&o.JSON, "json", false, "print the result as JSON")
	if err := p.Parse(flags, args, aboutErase); err != nil {
		return err
	}
	fromInput := o.Chat == "-"
	if fromInput {
		line, err := bufio.NewReader(io.LimitReader(p.In, 4096)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return cli.Hinted(errors.New("the chat cannot be read from the standard input"), "give it on a line of its own")
		}
		o.Chat = line
	}
	o.Chat = strings.TrimSpace(o.Chat)
	switch {
	case o.Chat == "":
		return cli.Usage("expected --chat with a number, a session key or a token, or - and one of them on the standard input")
	case tooShort(o.Chat):
		return cli.Usage("flag --chat: the number is too short; expected it with its country code, such as +595 981 048 477")
	case !o.DryRun && !o.Yes && (fromInput || !isTerminal(p.In)):
		return cli.Usage("expected --yes, or --dry-run, where nobody can be asked")
	}
	c, _, err := p.LoadKeyless(settings)
	if err != nil {
		return err
	}
	if c.Sink.NATS != nil || c.Sink.Stdout != nil {
		return cli.Usage("the sink %s keeps no events, so nothing can be erased from it: erase where its readers keep them",
			c.Sink.Chosen()[0])
	}
	if o.Streams = c.Streams(); len(o.Streams) == 0 {
		return cli.Usage("expected a configuration with the streams: a chat's events are found by them")
	}
	if *stream != "" {
		one, err := streamNamed(c, *stream)
		if err != nil {
			return err
		}
		o.Streams = []connector.Stream{one}
	}
	return erase.New(p, c, o).Run(ctx)
}

// tooShort reports whether a chat was named by digits that are too few for a number, a session key or a token. With them
// nothing would be found, as if the chat had no events.
func tooShort(chat string) bool {
	const fewest = 5 // with fewer no text is searched as a number
	digits := 0
	for _, r := range chat {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case !strings.ContainsRune("+-.()/ ", r):
			return false
		}
	}
	return digits < fewest
}

// isTerminal reports whether a person sits at an input.
func isTerminal(in io.Reader) bool {
	file, ok := in.(*os.File)
	return ok && text.IsTerminal(file)
}
