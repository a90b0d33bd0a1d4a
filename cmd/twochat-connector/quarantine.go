package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/admin"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/quarantine"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks"
)

const aboutQuarantine = `
Shows what could not become an event (no id, broken UTF-8, too large) from the
sink's quarantine, and why, and delivers what can become an event now.

    quarantine list       one line each, oldest first in each stream, and what
                          can deliver them; with --show the items too
    quarantine show ID    one of them, with its item as far as it was kept;
                          the beginning of an id is enough
    quarantine replay     try each item again, and deliver those that are
                          events now: after the sink's limit was raised, or with
                          a newer version of this program

list and show change nothing and take over no stream: the connector may run
beside them. What a stream quarantined under a former name belongs to it; what
another sink has, from which the checkpoint was imported, is said and stays there.

replay reads the log first, and delivers nothing that is in it. The events that
it adds stand at the end of the log, with the next sequences, marked late. To add
them it takes over the stream. A running instance stands down meanwhile and
continues by itself after a few intervals (--take-over, if it answers); with a
file, stop ` + "`run`" + ` first. If replay is killed, run the same command again: nothing is
delivered twice. --dry-run only reports what would be delivered, and may run
beside an instance. What stays in the quarantine is listed with the reason, and
the exit code is 3 then.

    twochat-connector quarantine replay --stream support --dry-run
`

// quarantineVerbs are the subcommands.
var quarantineVerbs = []string{"list", "show", "replay"}

// quarantineForms are how they are written.
var quarantineForms = []string{
	"list [--stream NAME] [--show]",
	"show ID [--stream NAME] [--raw]",
	"replay [--stream NAME] [--dry-run]",
}

// runQuarantine is the command quarantine.
func runQuarantine(ctx context.Context, p *cli.Program, args []string) error {
	flags := cli.NewFlags(p)
	settings := cli.ConfigFlags(flags)
	stream := flags.String("stream", "", "only the stream of this `name`; by default all streams")
	show := flags.Bool("show", false, "list: print the items too; they hold personal data")
	raw := flags.Bool("raw", false, "show: print only the bytes of the item, unchanged")
	var o quarantine.Options
	flags.BoolVar(&o.DryRun, "dry-run", false, "replay: only report what would be delivered")
	flags.BoolVar(&o.TakeOver, "take-over", false,
		"replay: deliver even if a running instance answers; it stands down meanwhile")
	asJSON := flags.Bool("json", false, "print each as one line of JSON; replay: one document")
	words, err := p.ParseWords(flags, args, aboutQuarantine, quarantineForms...)
	if err != nil {
		return err
	}
	padded := append(words, "", "") // either may be missing
	verb, id := padded[0], padded[1]
	switch {
	case !slices.Contains(quarantineVerbs, verb):
		return p.WrongWord(verb, quarantineVerbs, "`twochat-connector help quarantine` describes them")
	case len(words) > 2:
		return cli.Usage("expected no more than one id after quarantine show")
	case verb == "show" && id == "":
		return cli.Usage("expected an id after quarantine show; `twochat-connector quarantine list` has them")
	case verb != "show" && id != "":
		return cli.Usage("expected only flags after quarantine %s", verb)
	case verb != "show" && *raw:
		return cli.Usage("flag --raw: expected only after quarantine show")
	case verb != "list" && *show:
		return cli.Usage("flag --show: expected only after quarantine list")
	case verb != "replay" && (o.DryRun || o.TakeOver):
		return cli.Usage("flags --dry-run and --take-over: expected only after quarantine replay")
	case *raw && *asJSON:
		return cli.Usage("flags --raw and --json: expected one of them, found both")
	}
	c, named, err := p.LoadKeyless(settings)
	if err != nil {
		return err
	}
	if file := c.Sink.File; file != nil {
		if _, err := os.Stat(file.Path); errors.Is(err, fs.ErrNotExist) {
			return cli.Hinted(fmt.Errorf("there is no file %s", file.Path),
				"correct the path, or start `twochat-connector run`, which creates it")
		}
	}
	if verb == "replay" {
		if !named {
			return cli.Usage("replay delivers to the streams of a configuration: expected --config FILE or --number")
		}
		if *stream != "" {
			if _, err := streamNamed(c, *stream); err != nil {
				return err
			}
		}
		o.Stream, o.JSON = *stream, *asJSON
		return quarantine.NewReplay(p, c, o).Run(ctx)
	}
	sink, err := openToRead(p, c)
	if err != nil {
		return err
	}
	defer sink.Close()
	if err := knownStream(ctx, sink, c, *stream, named); err != nil {
		return err
	}
	q := quarantineReader{
		sink: sink, stream: *stream, program: p, out: p.Out, err: p.Err, names: make(map[string]pipeline.Names),
	}
	if named {
		q.config = c
	}
	switch {
	case *stream != "":
		q.streams = []string{*stream}
	case named:
		for _, s := range c.Streams() {
			q.streams = append(q.streams, s.Name)
		}
	}
	if verb == "show" {
		return q.show(ctx, id, *raw, *asJSON)
	}
	return q.list(ctx, *show, *asJSON)
}

// quarantineReader reads a sink's quarantine, all of it or one stream's.
type quarantineReader struct {
	sink     sinks.Sink
	stream   string
	streams  []string       // of the configuration
	config   *config.Config // nil if only the sink is known
	program  *cli.Program
	out, err io.Writer
	// names are those of the streams of which something was read, by each of their names.
	names map[string]pipeline.Names
}

// of returns the names of an item's stream.
func (w *quarantineReader) of(ctx context.Context, stream string) (pipeline.Names, error) {
	if names, known := w.names[stream]; known {
		return names, nil
	}
	names, err := pipeline.NamesOf(ctx, w.sink, stream)
	if err == nil {
		w.names[stream] = names
	}
	return names, err
}

// each calls do with each item of the quarantine; of one stream, also with those under its former names. What somebody
// else put there is counted, and reported at the end.
func (w *quarantineReader) each(ctx context.Context, do func(quarantine.Item) error) error {
	var wanted []string
	if w.stream != "" {
		names, err := w.of(ctx, w.stream)
		if err != nil {
			return err
		}
		wanted = append(names.All, w.stream)
	}
	foreign := 0
	var own error // do's own error is not the sink's, and is returned unchanged
	err := w.sink.ReadBack(ctx, "", nil, func(reject []byte) error {
		item, ours := quarantine.Parse(reject)
		switch {
		case !ours:
			foreign++
			return nil
		case w.stream != "" && !slices.Contains(wanted, item.Stream):
			return nil
		}
		own = do(item)
		return own
	})
	if own != nil {
		return own
	}
	if foreign > 0 && err == nil {
		fmt.Fprintf(w.err, "records skipped because this connector did not write them: %d\n", foreign)
	}
	return err
}

func (w *quarantineReader) list(ctx context.Context, show, asJSON bool) error {
	count, out := 0, w.out
	listed := map[string]map[string]struct{}{} // by a stream's present name, as an item may have been quarantined twice
	former := map[string][]string{}            // the names under which they are listed
	ways := map[string]map[quarantine.Way]int{}
	err := w.each(ctx, func(q quarantine.Item) error {
		names, err := w.of(ctx, q.Stream)
		if err != nil {
			return err
		}
		present := names.Present()
		if count++; listed[present] == nil {
			listed[present], ways[present] = make(map[string]struct{}), make(map[quarantine.Way]int)
		}
		if _, twice := listed[present][q.ID]; !twice {
			ways[present][q.Way()]++
		}
		listed[present][q.ID] = struct{}{}
		if q.Stream != present {
			q.RenamedTo = present
			if !slices.Contains(former[present], q.Stream) {
				former[present] = append(former[present], q.Stream)
			}
		}
		item := q.Raw
		if !show {
			q.Raw = nil
		}
		if asJSON {
			return json.NewEncoder(out).Encode(q)
		}
		line := fmt.Sprintf("%s  %s  %.15s  %s%s\n", q.Recorded.Local().Format("2006-01-02 15:04:05"),
			text.Printable(q.Stream), text.Printable(q.ID), text.Printable(q.Reason), notKept[q.Way()])
		if err := text.Print(out, line); err != nil || !show {
			return err
		}
		return writeAll(out, []byte("    "+text.Line(string(item))+"\n")) // in one line, as it can be copied then
	})
	if err != nil || asJSON {
		return err
	}
	if count == 0 {
		err = text.Print(out, "The quarantine is empty.\n")
	}
	concerned := slices.Concat(slices.Collect(maps.Keys(listed)), w.streams)
	slices.Sort(concerned)
	for _, name := range slices.Compact(concerned) {
		if err != nil {
			break
		}
		if err = w.tellAbout(ctx, name, former[name], uint64(len(listed[name]))); err == nil {
			err = w.tellWays(ctx, name, ways[name])
		}
	}
	return err
}

// notKept is what the list says of an item that a replay cannot deliver.
var notKept = map[quarantine.Way]string{
	quarantine.ByRepair: ", not kept whole", quarantine.NoWay: ", larger than an event may be",
}

// tellWays says what can deliver a stream's items, with commands that are not refused beside a running instance.
func (w *quarantineReader) tellWays(ctx context.Context, stream string, ways map[quarantine.Way]int) error {
	of := func(s connector.Stream) bool { return s.Name == stream }
	if w.config == nil || !slices.ContainsFunc(w.config.Streams(), of) {
		return nil
	}
	var said []string
	say := func(count int, words string) {
		if count > 0 {
			said = append(said, words+" "+text.Counted(count, "item"))
		}
	}
	replay := "`twochat-connector quarantine replay --stream " + stream + "`"
	repair := "`twochat-connector audit --all --repair --stream " + stream + "`"
	if w.config.Sink.File == nil && admin.Answers(ctx, w.config, stream) {
		replay, repair = takingOver(replay), takingOver(repair)
	}
	say(ways[quarantine.ByReplay], replay+" tries again")
	say(ways[quarantine.ByRepair], repair+" reads from 2Chat again")
	say(ways[quarantine.NoWay], "nothing delivers")
	if len(said) == 0 {
		return nil
	}
	return text.Print(w.out, w.program.Hint("Stream "+text.Printable(stream)+": "+strings.Join(said, "; "))+".\n")
}

// takingOver is a quoted command that takes its streams over from a running instance.
func takingOver(command string) string { return strings.TrimSuffix(command, "`") + " --take-over`" }

// tellAbout says what the list does not show of a stream's items: under which former names they are listed; how many
// were delivered since, as they stay listed until retention removes them; and what lies in other sinks.
func (w *quarantineReader) tellAbout(ctx context.Context, stream string, former []string, listed uint64) error {
	names, err := w.of(ctx, stream)
	if err != nil {
		return nil // the items are listed, and that is what was asked for
	}
	shown := text.Printable(stream)
	say := func(format string, args ...any) error {
		return text.Print(w.out, w.program.Hint("Stream "+shown+": "+fmt.Sprintf(format, args...))+".\n")
	}
	if len(former) > 0 {
		was := text.Printable(strings.Join(former, ", "))
		if err := say("what is listed under %s was quarantined before it was renamed", was); err != nil {
			return err
		}
	}
	if more := names.Elsewhere(); more != "" {
		if err := say("%s", more); err != nil {
			return err
		}
	}
	erased, err := pipeline.ErasedUnder(ctx, w.sink, names.All)
	if err != nil {
		return nil // as above
	}
	left := names.Checkpoint.Counters.InQuarantine(erased)
	if names.Checkpoint.Counters.Settled == 0 || left >= listed {
		return nil
	}
	return say("%s of these %s in the log since; `twochat-connector quarantine replay --dry-run` names the others",
		text.Thousands(listed-left), map[bool]string{true: "is", false: "are"}[listed-left == 1])
}

func (w *quarantineReader) show(ctx context.Context, id string, raw, asJSON bool) error {
	var found []quarantine.Item
	out := w.out
	err := w.each(ctx, func(q quarantine.Item) error {
		if strings.HasPrefix(q.ID, id) && len(found) < 2 {
			found = append(found, q)
		}
		return nil
	})
	const hint = "`twochat-connector quarantine list` lists the ids; give enough of one to be unique"
	switch {
	case err != nil:
		return err
	case len(found) == 0:
		return cli.Hinted(errors.New("nothing in the quarantine has this id"), hint)
	case len(found) > 1 && found[0].ID != found[1].ID:
		return cli.Hinted(errors.New("more than one item in the quarantine has an id that begins so"), hint)
	}
	q := found[0]
	switch {
	case raw:
		return writeAll(out, q.Raw)
	case asJSON:
		return cli.PrintJSON(out, q)
	}
	kept := "all are kept"
	switch {
	case q.Kept == 0 && q.Length > 0:
		kept = "none are kept, as the privacy settings forbid it"
	case q.Kept < q.Length:
		kept = "the first " + text.Thousands(int64(q.Kept)) + " are kept"
	}
	said := fmt.Sprintf("id        %s\nstream    %s\nrecorded  %s\nreason    %s\nbytes     %s, of which %s\nsha256    %s\n",
		text.Printable(q.ID), text.Printable(q.Stream), q.Recorded.UTC().Format(time.RFC3339), text.Printable(q.Reason),
		text.Thousands(int64(q.Length)), kept, text.Printable(q.SHA256))
	if err := text.Print(out, said); err != nil || q.Kept == 0 {
		return err
	}
	return writeAll(out, []byte("\n"+text.Line(string(q.Raw))+"\n")) // in one line, as it can be copied then
}
