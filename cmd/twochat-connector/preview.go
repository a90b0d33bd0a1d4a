package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
)

const aboutPreview = `
Shows messages before and after the configured privacy settings are applied:
those of page 0 of a stream, for one API call, or without a call those in a file
(--file FILE, or --file - for standard input: a page, a list of items, or items
one after the other).

This prints what customers wrote. Members that are not known are named; they are
treated as text.
`

// previewReport is what preview prints with --json.
type previewReport struct {
	Stream      string              `json:"stream"`
	Identifiers config.Identifiers  `json:"identifiers"`
	Drop        []string            `json:"drop,omitempty"`
	Items       []twochat.Previewed `json:"items"`
	Unknown     []string            `json:"unknown,omitempty"`
}

// runPreview is the command preview.
func runPreview(ctx context.Context, p *cli.Program, args []string) error {
	flags := cli.NewFlags(p)
	settings := cli.ConfigFlags(flags)
	path := flags.String("file", "", "`where` the messages are: a file, or - for standard input; by default page 0 of a stream")
	name := flags.String("stream", "", "`name` of the stream; may be omitted if there is only one")
	most := flags.Int("last", 5, "`how many` of the newest messages to show")
	asJSON := flags.Bool("json", false, "print it as JSON")
	if err := p.Parse(flags, args, aboutPreview); err != nil {
		return err
	}
	if *most < 1 {
		return cli.Usage("flag --last: expected 1 or more")
	}
	load := p.Load
	if *path != "" {
		load = func(flags *config.Flags) (*config.Config, error) {
			c, _, err := p.LoadKeyless(flags)
			return c, err
		}
	}
	c, err := load(settings)
	if err != nil {
		return err
	}
	stream, err := streamNamed(c, *name)
	if err != nil {
		return err
	}
	c = c.OfStream(stream.Name)
	privacy, err := pipeline.PrivacyOf(c)
	if err != nil {
		return err
	}
	preview, err := twochat.NewPreview(privacy, privacy.Keyed(stream))
	if err != nil {
		return cli.UsageOf(err)
	}
	preview.ExactText = c.Events.Text == config.TextExact
	items, err := previewed(ctx, c, stream, *path, p.In)
	if err != nil {
		return err
	}
	r := previewReport{Stream: stream.Name, Identifiers: c.Privacy.Identifiers, Drop: c.Privacy.Drop}
	for _, item := range items[:min(len(items), *most)] {
		shown := preview.Item(item)
		r.Items = append(r.Items, shown)
		for _, member := range shown.Unknown {
			if !slices.Contains(r.Unknown, member) {
				r.Unknown = append(r.Unknown, member)
			}
		}
	}
	if *asJSON {
		return cli.PrintJSON(p.Out, r)
	}
	return text.Print(p.Out, r.text())
}

// previewed are the items to show, newest first.
func previewed(ctx context.Context, c *config.Config, s connector.Stream, path string, in io.Reader) ([][]byte, error) {
	var items [][]byte
	if path == "" {
		asItems := *c
		asItems.Events.Data, asItems.Events.Text = config.DataItem, config.TextExact
		client, err := pipeline.NewClient(&asItems, twochat.Privacy{})
		if err != nil {
			return nil, err
		}
		defer client.Close()
		page, err := client.Page(ctx, s, 0, "")
		if err != nil {
			finding := faultFinding(c, "stream "+s.Name, "", err)
			return nil, cli.Hinted(errors.New(finding.Thing+": "+finding.Text), finding.Hint)
		}
		for _, m := range page.Messages {
			items = append(items, m.Data)
		}
		return items, nil
	}
	from := in
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, cli.Hinted(errors.New("flag --file: the file cannot be read"),
				"name an existing file, or - for standard input")
		}
		defer file.Close()
		from = file
	}
	document, err := io.ReadAll(io.LimitReader(from, twochat.LimitPageBytes+1))
	if err != nil || len(document) > twochat.LimitPageBytes {
		return nil, cli.Hinted(errors.New("flag --file: reading the messages failed, or they are larger than 64 MiB"),
			"give one page")
	}
	found, err := twochat.Items(document)
	if err != nil {
		return nil, cli.Hinted(fmt.Errorf("flag --file: %w", err),
			"give one page as the API returns it, or a list of its items")
	}
	for _, item := range found {
		if isEvent(item) {
			return nil, cli.Hinted(errors.New("flag --file: these are events, not 2Chat's items: privacy is applied to them already"),
				"give one page as the API returns it, or a list of its items")
		}
		items = append(items, item)
	}
	return items, nil
}

// isEvent reports whether a document is an event as the connector writes it.
func isEvent(document []byte) bool {
	var e struct{ SpecVersion, Source string }
	return json.Unmarshal(document, &e) == nil && e.SpecVersion != "" &&
		strings.HasPrefix(e.Source, connector.Stream{}.Source())
}

// text is the preview for a person. Of each item it shows the members one below the other.
func (r previewReport) text() string {
	var out strings.Builder
	fmt.Fprintf(&out, "stream %s, privacy.identifiers: %s, privacy.drop: [%s]\n", r.Stream, r.Identifiers,
		strings.Join(r.Drop, ", "))
	for i, item := range r.Items {
		fmt.Fprintf(&out, "\n%d before\n%s", i+1, members(item.Before))
		switch {
		case item.Fault != "":
			fmt.Fprintf(&out, "  after   goes to the quarantine: %s\n", item.Fault)
		case string(item.After) == string(item.Before):
			fmt.Fprintf(&out, "  after   the same\n  chat    %s\n", item.Chat)
		default:
			fmt.Fprintf(&out, "  after\n%s  chat    %s\n", members(item.After), item.Chat)
		}
	}
	if len(r.Items) == 0 {
		out.WriteString("there are no messages\n")
	}
	if len(r.Unknown) > 0 {
		fmt.Fprintf(&out, "\nnot known, and treated as text: %s\n", strings.Join(r.Unknown, ", "))
	}
	return out.String()
}

// members are the members of an item, a line for each; the item as it is, if it is not JSON.
func members(item []byte) string {
	const indent = "    "
	var lines bytes.Buffer
	if err := json.Indent(&lines, item, indent, "  "); err != nil {
		return indent + text.Line(string(item)) + "\n"
	}
	var out strings.Builder
	for line := range strings.Lines(indent + lines.String() + "\n") {
		out.WriteString(text.Line(strings.TrimSuffix(line, "\n")) + "\n")
	}
	return out.String()
}
