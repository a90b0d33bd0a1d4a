package pipeline

import (
	"flag"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
)

// A number is for the stream that it names: one without a name is accepted only where it can be for one stream alone.
func TestOverrides_FirstStart(t *testing.T) {
	for _, test := range []struct {
		words   string
		streams string
		want    string // what the operator said of each stream, or a part of the error
	}{
		{"", "a b", ""},
		{"--first-start", "a b", "a:0 b:0"},
		{"--first-start=false", "a b", ""},
		{"--first-start=30", "a", "a:30"},
		{"--first-start=1", "a", "a:1"},
		{"--first-start=a:30", "a b", "a:30"},
		{"--first-start=a:30 --first-start=b:7", "a b c", "a:30 b:7"},
		{"--first-start=a:30 --first-start", "a b", "a:30 b:0"},
		{"--first-start=all:30", "a b", "a:30 b:30"},
		{"--first-start=all:30 --first-start=b:7", "a b", "a:30 b:7"},
		{"--first-start=all:30", "all", "all:30"},
		{"--first-start=595981048477:30", "595981048477 b", "595981048477:30"},
		{"--first-start=30", "a b", "each has its own: --first-start=a:30, --first-start=b:30; or --first-start=all:30 for all"},
		{"--first-start=30", "a b c d", "--first-start=c:30, …; or"},
		{"--first-start=c:30", "a b", "there is no stream c; the streams are a, b"},
		{"--first-start=all:30", "a all", "all is a stream's name here"},
		{"--first-start=:30", "a", "such as support:30"},
		{"--first-start=a:", "a", "such as support:30"},
		{"--first-start=a:-1", "a", "such as support:30"},
	} {
		flags := flag.NewFlagSet("run", flag.ContinueOnError)
		flags.SetOutput(io.Discard)
		w := OverrideFlags(flags, &config.Flags{})
		var streams []connector.Stream
		for name := range strings.FieldsSeq(test.streams) {
			streams = append(streams, connector.Stream{Name: name})
		}
		err := flags.Parse(strings.Fields(test.words))
		if err == nil {
			err = w.firstStart.resolve(streams)
		}
		var said []string
		for _, stream := range streams {
			if is, after := w.firstStartOf(stream.Name); is {
				said = append(said, fmt.Sprintf("%s:%d", stream.Name, after))
			}
		}
		switch got := strings.Join(said, " "); {
		case err != nil:
			if test.want == "" || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s with %s: %v, want %q", test.words, test.streams, err, test.want)
			}
		case got != test.want:
			t.Errorf("%s with %s: %q, want %q", test.words, test.streams, got, test.want)
		}
		if err != nil {
			continue
		}
		// A stream that is configured later did not exist when the operator decided.
		if err := w.firstStart.resolve(append(streams, connector.Stream{Name: "later"})); err != nil {
			t.Errorf("%s after a reload: %v", test.words, err)
		}
		if is, after := w.firstStartOf("later"); after != 0 || is != w.firstStart.all {
			t.Errorf("%s is also for a stream of later: %v, %d", test.words, is, after)
		}
	}
}
