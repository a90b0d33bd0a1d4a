package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks"
)

const aboutQuarantine = `
Shows what could not become an event (no id, broken UTF-8, too large) from the
sink's quarantine, and why. It changes nothing and takes over no stream: the
connector may run beside it.

    quarantine list       one line each, oldest first in each stream; with
                          --show the items too
    quarantine show ID    one of them, with its item as far as it was kept;
                          the beginning of an id is enough
`

// quarantineVerbs are the subcommands.
var quarantineVerbs = []string{"list", "show"}

// quarantined is one item of the quarantine.
type quarantined struct {
	ID       string    `json:"id"`
	Stream   string    `json:"stream"`
	Recorded time.Time `json:"recorded"`
	Reason   string    `json:"reason"`
	Length   int       `json:"length"`
	SHA256   string    `json:"sha256"`
	// Kept is how many bytes of the item are in the quarantine: its first ones, or none if the privacy settings forbid it.
	Kept int    `json:"kept"`
	Item []byte `json:"item,omitempty"` // base64 in JSON
}

// runQuarantine is the command quarantine.
func runQuarantine(ctx context.Context, p *cli.Program, args []string) error {
	flags := cli.NewFlags(p)
	settings := cli.ConfigFlags(flags)
	stream := flags.String("stream", "", "only the stream of this `name`; by default all streams")
	show := flags.Bool("show", false, "list: print the items too; they hold personal data")
	raw := flags.Bool("raw", false, "show: print only the bytes of the item, unchanged")
	asJSON := flags.Bool("json", false, "print each as one line of JSON")
	words, err := p.ParseWords(flags, args, aboutQuarantine)
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
	case verb == "list" && id != "":
		return cli.Usage("expected only flags after quarantine list")
	case verb == "list" && *raw:
		return cli.Usage("flag --raw: expected only after quarantine show")
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
	sink, err := openBeside(p, c)
	if err != nil {
		return err
	}
	defer sink.Close()
	if err := knownStream(ctx, sink, c, *stream, named); err != nil {
		return err
	}
	q := quarantine{sink: sink, stream: *stream, out: p.Out, err: p.Err}
	if verb == "show" {
		return q.show(ctx, id, *raw, *asJSON)
	}
	return q.list(ctx, *show, *asJSON)
}

// quarantine is a sink's quarantine, all of it or one stream's.
type quarantine struct {
	sink     sinks.Sink
	stream   string
	out, err io.Writer
}

// each calls do with each item of the quarantine. What somebody else put there is counted, and reported at the end.
func (w *quarantine) each(ctx context.Context, do func(quarantined) error) error {
	foreign := 0
	var own error // do's own error is not the sink's, and is returned unchanged
	err := w.sink.ReadBack(ctx, "", nil, func(reject []byte) error {
		var e struct {
			ID, Source string
			Time       time.Time
			Data       struct {
				Reason string
				Length int
				SHA256 string
				Raw    []byte
			}
		}
		unreadable := json.Unmarshal(reject, &e)
		stream, ours := strings.CutPrefix(e.Source, connector.Stream{}.Source())
		switch {
		case unreadable != nil || !ours || !strings.HasPrefix(e.ID, "reject-"):
			foreign++
			return nil
		case w.stream != "" && stream != w.stream:
			return nil
		}
		own = do(quarantined{
			ID: e.ID, Stream: stream, Recorded: e.Time, Reason: e.Data.Reason, Length: e.Data.Length,
			SHA256: e.Data.SHA256, Kept: len(e.Data.Raw), Item: e.Data.Raw,
		})
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

func (w *quarantine) list(ctx context.Context, show, asJSON bool) error {
	count, out := 0, w.out
	err := w.each(ctx, func(q quarantined) error {
		count++
		item := q.Item
		if !show {
			q.Item = nil
		}
		if asJSON {
			return json.NewEncoder(out).Encode(q)
		}
		line := fmt.Sprintf("%s  %s  %.15s  %s\n", q.Recorded.Local().Format("2006-01-02 15:04:05"),
			text.Printable(q.Stream), text.Printable(q.ID), text.Printable(q.Reason))
		if show {
			line += "    " + text.Line(string(item)) + "\n"
		}
		return writeAll(out, []byte(line))
	})
	if err == nil && count == 0 && !asJSON {
		err = writeAll(out, []byte("The quarantine is empty.\n"))
	}
	return err
}

func (w *quarantine) show(ctx context.Context, id string, raw, asJSON bool) error {
	var found []quarantined
	out := w.out
	err := w.each(ctx, func(q quarantined) error {
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
		return writeAll(out, q.Item)
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
	_, err = fmt.Fprintf(out, "id        %s\nstream    %s\nrecorded  %s\nreason    %s\nbytes     %s, of which %s\nsha256    %s\n",
		text.Printable(q.ID), text.Printable(q.Stream), q.Recorded.UTC().Format(time.RFC3339), text.Printable(q.Reason),
		text.Thousands(int64(q.Length)), kept, text.Printable(q.SHA256))
	if err == nil && q.Kept > 0 {
		_, err = fmt.Fprintf(out, "\n%s\n", text.Line(string(q.Item)))
	}
	return err
}
