package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks"
)

const aboutQuarantine = `
Reads what could not become an event (no id, broken UTF-8, too large) from the sink's quarantine, and says why. It takes
nothing over and changes nothing: the connector may run beside it.

    quarantine list       one line each, oldest first in each stream; the items themselves are not shown without --show
    quarantine show ID    one of them, with its item as far as that was kept; the beginning of an id is enough
`

// quarantineVerbs are what there is to do with a quarantine.
var quarantineVerbs = []string{"list", "show"}

// quarantined is one item of the quarantine.
type quarantined struct {
	ID       string    `json:"id"`
	Stream   string    `json:"stream"`
	Recorded time.Time `json:"recorded"`
	Reason   string    `json:"reason"`
	Length   int       `json:"length"`
	SHA256   string    `json:"sha256"`
	// Kept is how many of its bytes are in the quarantine: the first ones, or none where the privacy settings forbid it.
	Kept int    `json:"kept"`
	Item []byte `json:"item,omitempty"` // base64 in JSON
}

// runQuarantine is the command quarantine.
func runQuarantine(ctx context.Context, p *cli.Program, args []string) error {
	var words []string
	for len(args) > 0 && len(words) < 2 && !strings.HasPrefix(args[0], "-") {
		words, args = append(words, args[0]), args[1:]
	}
	flags := cli.NewFlags(p)
	settings := cli.ConfigFlags(flags)
	stream := flags.String("stream", "", "only the stream of this `name`; all that are configured, if left out")
	show := flags.Bool("show", false, "list: show the items too; they hold personal data")
	raw := flags.Bool("raw", false, "show: write the bytes of the item alone, as they are")
	asJSON := flags.Bool("json", false, "print each as one line of JSON")
	if err := p.Parse(flags, args, aboutQuarantine); err != nil {
		return err
	}
	verb, id := "", ""
	if len(words) > 0 {
		verb = words[0]
	}
	if len(words) > 1 {
		id = words[1]
	}
	switch {
	case !slices.Contains(quarantineVerbs, verb):
		return noSuchVerb(verb)
	case verb == "show" && id == "":
		return cli.Usage("expected an id after quarantine show; `twochat-connector quarantine list` has them")
	case verb == "list" && id != "":
		return cli.Usage("expected no more than flags after quarantine list")
	case verb == "list" && *raw:
		return cli.Usage("flag --raw: expected after quarantine show alone")
	case *raw && *asJSON:
		return cli.Usage("flags --raw and --json: expected one of them, found both")
	}
	c, _, err := p.LoadKeyless(settings)
	if err != nil {
		return err
	}
	names, err := quarantineStreams(c, *stream)
	if err != nil {
		return err
	}
	sink, err := openBeside(p, c)
	if err != nil {
		return err
	}
	defer sink.Close()
	if verb == "show" {
		return showQuarantined(ctx, p.Out, sink, names, id, *raw, *asJSON)
	}
	return listQuarantined(ctx, p.Out, sink, names, *show, *asJSON)
}

func noSuchVerb(verb string) error {
	told := "expected one of " + strings.Join(quarantineVerbs, ", ") + " after quarantine"
	if near := config.Nearest(verb, quarantineVerbs); near != "" {
		told += "; the nearest is " + near
	}
	return cli.UsageOf(cli.Hinted(errors.New(told), "`twochat-connector help quarantine` says what they do"))
}

// quarantineStreams names the streams whose quarantines are read: a history has one of its own.
func quarantineStreams(c *config.Config, name string) ([]string, error) {
	streams := c.Streams()
	if name != "" {
		one, err := streamNamed(c, strings.TrimSuffix(name, connector.HistoryStream(connector.Stream{}).Name))
		if err != nil {
			return nil, err
		}
		if name != one.Name {
			return []string{name}, nil
		}
		streams = []connector.Stream{one}
	}
	var names []string
	for _, s := range streams {
		names = append(names, s.Name, connector.HistoryStream(s).Name)
	}
	return names, nil
}

// eachQuarantined calls each with what is in the quarantines of the streams.
func eachQuarantined(ctx context.Context, sink sinks.Sink, streams []string, each func(quarantined) error) error {
	for _, stream := range streams {
		err := sink.ReadBack(ctx, stream, nil, func(reject []byte) error {
			var e struct {
				ID   string
				Time time.Time
				Data struct {
					Reason string
					Length int
					SHA256 string
					Raw    []byte
				}
			}
			if err := json.Unmarshal(reject, &e); err != nil {
				return fmt.Errorf("read the quarantine of stream %s: an entry is not a CloudEvent of this connector's", stream)
			}
			return each(quarantined{
				ID: e.ID, Stream: stream, Recorded: e.Time, Reason: e.Data.Reason, Length: e.Data.Length,
				SHA256: e.Data.SHA256, Kept: len(e.Data.Raw), Item: e.Data.Raw,
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func listQuarantined(
	ctx context.Context, out io.Writer, sink sinks.Sink, streams []string, show, asJSON bool,
) error {
	count := 0
	err := eachQuarantined(ctx, sink, streams, func(q quarantined) error {
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
	switch {
	case errors.Is(err, syscall.EPIPE), errors.Is(err, io.ErrClosedPipe):
		return nil // whoever read our lines has enough
	case err != nil:
		return err
	case asJSON:
		return nil
	case count == 0:
		return writeAll(out, []byte("The quarantine is empty.\n"))
	}
	return nil
}

func showQuarantined(
	ctx context.Context, out io.Writer, sink sinks.Sink, streams []string, id string, raw, asJSON bool,
) error {
	var found []quarantined
	err := eachQuarantined(ctx, sink, streams, func(q quarantined) error {
		if strings.HasPrefix(q.ID, id) && len(found) < 2 {
			found = append(found, q)
		}
		return nil
	})
	const hint = "`twochat-connector quarantine list` has the ids; give as much of one as tells it from the others"
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
		kept = "none is kept, as the privacy settings forbid it"
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
