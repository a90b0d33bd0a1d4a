package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks"
)

const aboutTail = `
Prints the newest events in the sink, and follows it until ctrl-c. It changes
nothing and takes over no stream: the connector may run beside it. It shows what
customers wrote.

--since 1h, or a time such as 2026-01-31T00:00:00Z, begins with what was recorded
since then, by the events' recordedtime, instead of with the newest events.
--no-follow ends after the newest event.

    18:01:33  support     #4711  ← zcphjmn4  Hello, is my order on its way?

← was received, → was sent; then comes the chat's token. --json prints each
event as it is stored, on one line.
`

// runTail is the command tail.
func runTail(ctx context.Context, p *cli.Program, args []string) error {
	flags := cli.NewFlags(p)
	settings := cli.ConfigFlags(flags)
	last := flags.Int("last", 10, "`how many` of the newest events to begin with")
	since := flags.String("since", "", "begin with what was recorded `since` an age such as 1h or a time such as 2026-01-31T00:00:00Z, instead of the newest events")
	noFollow := flags.Bool("no-follow", false, "end after the newest event")
	stream := flags.String("stream", "", "only the events of the stream of this `name`")
	asJSON := flags.Bool("json", false, "print each event as one line of JSON")
	if err := p.Parse(flags, args, aboutTail); err != nil {
		return err
	}
	if *last < 0 {
		return cli.Usage("flag --last: expected 0 or more")
	}
	options := connector.FollowOptions{Stream: *stream, Last: *last, Once: *noFollow}
	if *since != "" {
		var err error
		if options.Since, err = sinceTime(*since, time.Now()); err != nil {
			return err
		}
		if cli.Given(flags, "last") {
			return cli.Usage("flags --last and --since: expected one of them, found both")
		}
	}
	c, named, err := p.LoadKeyless(settings)
	if err != nil {
		return err
	}
	width := 0
	for _, s := range c.Streams() {
		if named {
			width = max(width, len(s.Name))
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
	if file := c.Sink.File; file != nil && !options.Once {
		if _, err := os.Stat(file.Path); errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintf(p.Err, "waiting for the file %s, which does not exist yet\n", file.Path)
		}
	}
	err = sink.Follow(ctx, options, func(event []byte) error {
		if !options.Since.IsZero() && recordedOf(event).Before(options.Since) {
			return nil
		}
		if *asJSON {
			return writeJSONLine(p.Out, event)
		}
		return writeAll(p.Out, []byte(fitted(p.Out, eventLine(event, width))))
	})
	var refusal *connector.Refusal
	switch {
	case err == nil, errors.Is(err, syscall.EPIPE), errors.Is(err, io.ErrClosedPipe):
		return nil // nobody reads our output any more
	case errors.As(err, &refusal):
		return err
	}
	return cli.Hinted(err, "`twochat-connector check` shows what is wrong with the sink")
}

// sinceTime is the time that --since gives.
func sinceTime(text string, now time.Time) (time.Time, error) {
	start, err := config.ParseStart(text)
	if err != nil || start.Mode != config.StartAge && start.Mode != config.StartTime {
		return time.Time{}, cli.Usage("flag --since: expected an age such as 1h, or a time such as 2026-01-31T00:00:00Z")
	}
	return start.At(now).Since, nil
}

// recordedOf is the time at which an event was recorded.
func recordedOf(event []byte) time.Time {
	var attributes struct{ RecordedTime time.Time }
	_ = json.Unmarshal(event, &attributes) // an event without this time counts as the oldest
	return attributes.RecordedTime
}

// knownStream refuses the name of a stream that is neither configured nor in the sink.
func knownStream(ctx context.Context, sink sinks.Sink, c *config.Config, name string, named bool) error {
	var names []string
	for _, s := range c.Streams() {
		if named {
			names = append(names, s.Name)
		}
	}
	if name == "" || c.Sink.NATS != nil || slices.Contains(names, name) {
		return nil
	}
	claim := connector.Claim{Stream: connector.Stream{Name: name}, TypePrefix: c.Events.TypePrefix}
	if _, found, err := pipeline.Peek(ctx, sink, claim); err != nil || found {
		return nil // following it reports what is wrong
	}
	const all = "leave --stream out to see the events of all streams"
	there, err := streamsIn(ctx, sink)
	if err != nil {
		return err
	}
	names = append(names, there...)
	slices.Sort(names)
	names = slices.Compact(names)
	hint := all
	if len(names) > 0 {
		hint = "the known streams are " + strings.Join(names[:min(len(names), 10)], ", ") + "; " + all
	}
	if near := config.Nearest(name, names); near != "" {
		hint = "the nearest is " + near + "; " + hint
	}
	return cli.UsageOf(cli.Hinted(
		errors.New("flag --stream: neither the configuration nor the sink has a stream of this name"), hint))
}

// streamsIn names the streams of the newest events in a sink, as far as they can be read at once. Its error is a
// refusal.
func streamsIn(ctx context.Context, sink sinks.Sink) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var names []string
	err := sink.Follow(ctx, connector.FollowOptions{Last: 1000, Once: true}, func(event []byte) error {
		var attributes struct{ Source string }
		_ = json.Unmarshal(event, &attributes)
		name, ours := strings.CutPrefix(attributes.Source, connector.Stream{}.Source())
		if name = text.Printable(name); ours && !slices.Contains(names, name) {
			names = append(names, name)
		}
		return nil
	})
	var refusal *connector.Refusal
	if errors.As(err, &refusal) {
		return nil, refusal
	}
	return names, nil // an error does not matter here: the names are only for a hint
}

// writeJSONLine writes an event on one line. 2Chat's items are stored as they come, and may have line breaks between
// their tokens.
func writeJSONLine(to io.Writer, event []byte) error {
	var line bytes.Buffer
	line.Grow(len(event) + 1)
	if err := json.Compact(&line, event); err != nil {
		return fmt.Errorf("print an event: %w", err)
	}
	line.WriteByte('\n')
	return writeAll(to, line.Bytes())
}

func writeAll(to io.Writer, line []byte) error {
	_, err := to.Write(line)
	return err
}

// fitted is a line that fits the terminal, where there is one: what else follows it would not be told apart from it.
func fitted(to io.Writer, line string) string {
	if !text.IsTerminal(to) {
		return line
	}
	return text.Clip(strings.TrimSuffix(line, "\n"), text.TerminalWidth(to)) + "\n"
}

// eventLine is an event as a person wants to read it. width is the width of the stream names.
func eventLine(event []byte, width int) string {
	var e struct {
		Type, Subject, Sequence string
		Source                  string
		Time, RecordedTime      time.Time
		Late                    any
		Data                    struct {
			Message struct {
				Text  string
				Media struct{ Type string }
			}
			Kind, Text string // of a row
		}
	}
	// Members that cannot be read stay empty, so that the line is shown all the same.
	_ = json.Unmarshal(event, &e)
	at := e.Time
	if at.IsZero() {
		at = e.RecordedTime
	}
	when := at.Local().Format("15:04:05")
	if since := time.Since(at); since > 20*time.Hour || since < -20*time.Hour {
		when = at.Local().Format("2006-01-02 15:04:05")
	}
	arrow := "·"
	switch {
	case strings.HasSuffix(e.Type, "."+connector.DirectionReceived):
		arrow = "←"
	case strings.HasSuffix(e.Type, "."+connector.DirectionSent):
		arrow = "→"
	}
	stream := strings.TrimPrefix(e.Source, connector.Stream{}.Source())
	number := ""
	if digits := strings.TrimLeft(e.Sequence, "0"); digits != "" {
		number = "#" + digits
	}
	said, kind := text.Printable(e.Data.Message.Text), text.Printable(e.Data.Message.Media.Type)
	if row := e.Data.Kind; row != "" {
		said, kind = text.Printable(e.Data.Text), text.Printable(row)
		if row == "text" || row == "unknown" {
			kind = ""
		}
	}
	if kind != "" {
		said = strings.TrimSpace("[" + kind + "] " + said)
	}
	if said == "" {
		said = "(no text)"
	}
	if late := fmt.Sprint(e.Late); late == "true" {
		said = "(late) " + said
	}
	return fmt.Sprintf("%s  %-*s  %7s  %s %.8s  %s\n", when, width, text.Printable(stream), number, arrow,
		text.Printable(e.Subject), said)
}
