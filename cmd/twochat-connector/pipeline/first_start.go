package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/connector"
)

// firstStart is the flag --first-start: alone, with a number, or with a stream's name and a number. A number is meant
// for one stream, as each counts its own events: the number of one would skip sequences of another that is not as far.
type firstStart struct {
	all   bool              // without a number, for all streams
	after map[string]uint64 // the last sequence that was used before, by stream

	// resolved is set once the numbers are those of named streams. Until then, bare is the number without a name, and
	// every the one for all streams; nil if it was not given.
	resolved    bool
	bare, every *uint64
}

func (f *firstStart) String() string { return "" }

// IsBoolFlag allows the flag without a number.
func (f *firstStart) IsBoolFlag() bool { return true }

// Set parses the flag's value.
func (f *firstStart) Set(text string) error {
	if said, err := strconv.ParseBool(text); err == nil && text != "0" && text != "1" {
		f.all = said
		return nil
	}
	name, digits, named := strings.Cut(text, ":")
	if !named {
		digits = text
	}
	after, err := strconv.ParseUint(digits, 10, 63)
	switch {
	case err != nil || named && name == "":
		return errors.New("expected a stream's name and the last sequence that was used before, such as support:30")
	case !named:
		f.bare = &after
	case name == connector.AllStreams:
		f.every = &after
	default:
		f.name(name, after)
	}
	return nil
}

func (f *firstStart) name(stream string, after uint64) {
	if f.after == nil {
		f.after = make(map[string]uint64)
	}
	f.after[stream] = after
}

// resolve finds the streams that the numbers are for. Streams that a configuration has later are not meant: they did
// not exist when the operator decided.
func (f *firstStart) resolve(streams []connector.Stream) error {
	if f.resolved {
		return nil
	}
	named := func(name string) bool {
		return slices.ContainsFunc(streams, func(s connector.Stream) bool { return s.Name == name })
	}
	for name := range f.after {
		if !named(name) {
			return cli.Usage("flag --first-start: there is no stream %s; the streams are %s", name, namesOf(streams, "%s"))
		}
	}
	switch {
	case f.bare != nil && len(streams) > 1:
		return cli.Usage("flag --first-start: expected the stream that the number is for, as each has its own: %s; or %s for all",
			namesOf(streams, fmt.Sprintf("--first-start=%%s:%d", *f.bare)),
			fmt.Sprintf("--first-start=%s:%d", connector.AllStreams, *f.bare))
	case f.every != nil && len(streams) > 1 && named(connector.AllStreams):
		return cli.Usage("flag --first-start: %s is a stream's name here, so expected each stream by its own name",
			connector.AllStreams)
	}
	for _, number := range []*uint64{f.every, f.bare} {
		for i := range streams {
			if _, own := f.after[streams[i].Name]; number != nil && !own {
				f.name(streams[i].Name, *number)
			}
		}
	}
	f.resolved = true
	return nil
}

// mostNamed is how many streams a message names.
const mostNamed = 3

// namesOf lists streams in a form that has a place for the name.
func namesOf(streams []connector.Stream, form string) string {
	var list []string
	for i := range streams[:min(len(streams), mostNamed)] {
		list = append(list, fmt.Sprintf(form, streams[i].Name))
	}
	if len(streams) > mostNamed {
		list = append(list, "…")
	}
	return strings.Join(list, ", ")
}
