package main

import (
	"context"
	"strings"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/checkpoint"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
)

const aboutCheckpoint = `
Shows and changes what the sink records of each stream: how far its log has got,
and what the next start needs. No number of a customer, no chat and no text is
in it.

    checkpoint show                   what it records, in words
    checkpoint export --stream NAME   write it to a file (--out FILE), to go on
                                      from on another sink
    checkpoint import FILE            record it in the configured sink: an empty
                                      one, another one, or a restored broker's
    checkpoint rename OLD NEW         give a stream another name
    checkpoint move --from URL        accept that twochat.base_url is another
                                      one now: a proxy, or a host that moved;
                                      URL is what the configuration had before

Everything goes on after the newest event: the sequence continues from n to n+1.
What was written stays where it is and as it is: after rename, the events so far
keep the former name in source and subject; after move, chats that were hashed
have other tokens (--rekey accepts that, and another privacy mode or key).
move checks all streams before it changes the first one.

import is refused if the sink's log goes on beyond the file, or has other
messages at its numbers. Stop ` + "`run`" + ` first. An instance is noticed by its admin
server (admin.listen), by the lock of a file, or by a checkpoint that is not older
than twice poll.max_interval; --take-over does it all the same. An instance
elsewhere that has been quiet for longer is not noticed; it is fenced, and does
not write to the former place again. Each command may be killed at any time, and
run again.

show changes nothing and may run beside an instance. It exits with code 3 if a
stream has no checkpoint, or has one that this configuration cannot go on from.

    twochat-connector checkpoint export --stream support --out support.json
    twochat-connector checkpoint import support.json --sink kafka://host:9092/t
    twochat-connector checkpoint rename support sales
    twochat-connector checkpoint move --from https://api.p.2chat.io --rekey
`

// checkpointVerbs are the subcommands.
var checkpointVerbs = []string{"show", "export", "import", "rename", "move"}

// checkpointForms are how they are written.
var checkpointForms = []string{
	"show [--stream NAME]",
	"export --stream NAME [--out FILE]",
	"import FILE [--rekey] [--take-over]",
	"rename OLD NEW [--rekey] [--take-over]",
	"move --from URL [--rekey] [--stream NAME]",
}

// checkpointFlags are what the command line says.
type checkpointFlags struct {
	stream, out, from string
	checkpoint.Options
}

// runCheckpoint is the command checkpoint.
func runCheckpoint(ctx context.Context, p *cli.Program, args []string) error {
	flags := cli.NewFlags(p)
	settings := cli.ConfigFlags(flags)
	var o checkpointFlags
	flags.StringVar(&o.stream, "stream", "",
		"show, export, move: the stream of this `name`; show, move: by default all configured streams")
	flags.StringVar(&o.out, "out", "", "export: the `file` to write; by default the standard output")
	flags.StringVar(&o.from, "from", "", "move: the `URL` that twochat.base_url was before")
	flags.BoolVar(&o.Rekey, "rekey", false,
		"move, rename, import: accept that chats move to other keys and subjects")
	flags.BoolVar(&o.TakeOver, "take-over", false, "do it even if an instance is running, or may be")
	flags.BoolVar(&o.JSON, "json", false, "print JSON")
	words, err := p.ParseWords(flags, args, aboutCheckpoint, checkpointForms...)
	if err != nil {
		return err
	}
	verb := append(words, "")[0]
	if err := o.check(p, verb, words); err != nil {
		return err
	}
	c, named, err := p.LoadKeyless(settings)
	if err != nil {
		return err
	}
	engine, err := checkpoint.New(p, c, named, o.Options)
	if err != nil {
		return err
	}
	switch verb {
	case "export":
		err = engine.Export(ctx, o.stream, o.out)
	case "import":
		err = engine.Import(ctx, words[1])
	case "rename":
		err = engine.Rename(ctx, words[1], words[2])
	case "move":
		err = engine.Move(ctx, o.stream, strings.TrimRight(o.from, "/"))
	default:
		err = engine.Show(ctx, o.stream)
	}
	return cli.Stopped(ctx, err, "stopped before the end", "run the same command again: it goes on where it was")
}

// check refuses what does not belong to a subcommand.
func (o *checkpointFlags) check(p *cli.Program, verb string, words []string) error {
	wanted := map[string]int{"show": 1, "export": 1, "import": 2, "rename": 3, "move": 1}
	most, known := wanted[verb]
	switch {
	case !known:
		return p.WrongWord(verb, checkpointVerbs, "`twochat-connector help checkpoint` describes them")
	case verb == "import" && len(words) != most:
		return cli.Usage("expected one file after checkpoint import, or - for the standard input")
	case verb == "rename" && (len(words) != most || words[1] == words[2]):
		return cli.Usage("expected two names after checkpoint rename: the former and the new one")
	case len(words) > most:
		return cli.Usage("expected only flags after checkpoint %s", verb)
	case verb == "export" && o.stream == "":
		return cli.Usage("expected --stream NAME after checkpoint export")
	case verb == "move" && o.from == "":
		return cli.Usage("expected --from URL after checkpoint move: the base URL that the configuration had before")
	case o.stream != "" && (verb == "import" || verb == "rename"):
		return cli.Usage("flag --stream: expected only after checkpoint show, export and move")
	case o.out != "" && verb != "export":
		return cli.Usage("flag --out: expected only after checkpoint export")
	case o.from != "" && verb != "move":
		return cli.Usage("flag --from: expected only after checkpoint move")
	case o.Rekey && (verb == "show" || verb == "export"):
		return cli.Usage("flag --rekey: expected only after checkpoint import, rename and move")
	case o.TakeOver && verb == "show":
		return cli.Usage("flag --take-over: not expected after checkpoint show, which takes nothing over")
	}
	return nil
}
