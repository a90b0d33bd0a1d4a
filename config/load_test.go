package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// write puts a configuration into a file of the test's own.
func write(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const small = `twochat:
  api_key_file: /etc/twochat/api-key
  streams: [{ number: "+595981048477" }]
sink: { file: { path: events.jsonl } }
`

// The full example gives every key its default, so loading it gives the same as Default.
func TestLoad_FullExampleIsTheDefaults(t *testing.T) {
	c, err := Load("testdata/full.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.TwoChat.APIKeyFile, want.TwoChat.Streams, want.Sink = c.TwoChat.APIKeyFile, c.TwoChat.Streams, c.Sink
	want.Privacy.Drop, want.Admin.Hosts = []string{}, []string{}
	if !reflect.DeepEqual(*c, want) {
		t.Errorf("got:\n%v\nwant:\n%v", c, want)
	}
	if got := c.TwoChat.APIKeyFile.path; got != "/etc/twochat/api-key" {
		t.Errorf("api_key_file is %q", got)
	}
	streams := []connector.Stream{
		{Name: "595981048477", Number: "+595981048477", SourceKey: connector.SourceKey("https://api.p.2chat.io",
			"+595981048477", "")},
		{
			Name: "support", Number: "+595981048478", Remote: "+595981111111",
			SourceKey: connector.SourceKey("https://api.p.2chat.io", "+595981048478", "+595981111111"),
		},
	}
	if got := c.Streams(); !reflect.DeepEqual(got, streams) {
		t.Errorf("streams are %+v", got)
	}
	if got := c.Sink.Chosen(); !reflect.DeepEqual(got, []string{"jetstream"}) {
		t.Errorf("sinks are %v", got)
	}
}

func TestLoad_EverySinkOfTheExample(t *testing.T) {
	for _, sink := range []string{
		`kafka: { brokers: [127.0.0.1:9092], topic: whatsapp.messages, create: false, compression: gzip, tls: {} }`,
		`embedded: { listen: 127.0.0.1:4222, dir: ./twochat-data, max_age: 0, max_bytes: 0 }`,
		`nats: { url: nats://127.0.0.1:4222, subject: whatsapp, state: ./whatsapp.state }`,
		`file: { path: events.jsonl }`,
		`stdout: { state: "" }`,
		"stdout:",
		"embedded: {}",
	} {
		name, _, _ := strings.Cut(sink, ":")
		t.Run(name, func(t *testing.T) {
			c, err := Load(write(t, strings.Replace(small, "file: { path: events.jsonl }", sink, 1)), nil)
			if name == "stdout" && !strings.Contains(sink, "{") { // `sink: { stdout: }`
				c, err = Load(write(t, strings.Replace(small, "{ file: { path: events.jsonl } }", "\n  "+sink, 1)), nil)
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := c.Sink.Chosen(); !reflect.DeepEqual(got, []string{name}) {
				t.Errorf("sinks are %v", got)
			}
		})
	}
}

func TestLoad_Forms(t *testing.T) {
	c, err := Load(write(t, `
twochat:
  base_url: http://127.0.0.1:8099
  api_key_file: key
  streams:
  - number: +595981048477
  - number: '+595981048478'
    name: desk.two_B-1
start: 2026-01-31T02:00:00+02:00
poll:
  max_interval: 1h30m
  sweep: { every: 0 }
events:
  mode: binary
  dataschema: https://example.com/schema.json
sink: { file: { path: events.jsonl } }
privacy: { identifiers: clear, drop: [text, media] }
admin: { listen: "[::1]:0" }
log:
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.TwoChat.Streams[0].Number != "+595981048477" {
		t.Error("a number without quotes is not read as it stands")
	}
	if want := (Start{Mode: StartTime, Time: time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)}); c.Start != want {
		t.Errorf("start is %v, want %v", c.Start, want)
	}
	if c.Poll.MaxInterval != 90*time.Minute || c.Poll.MinInterval != 10*time.Second || c.Poll.Sweep.Depth != 60*time.Hour {
		t.Errorf("poll is %+v", c.Poll)
	}
	if !reflect.DeepEqual(c.Privacy.Drop, []string{"text", "media"}) {
		t.Errorf("drop is %v", c.Privacy.Drop)
	}
	if got := c.Encoding(); got.Mode != connector.ModeBinary || got.TypePrefix != "co.2chat.whatsapp" {
		t.Errorf("encoding is %+v", got)
	}
	if got := c.EventSettings().DataSchema; got != "https://example.com/schema.json" {
		t.Errorf("dataschema is %q", got)
	}
	if err := c.Validate(); err != nil {
		t.Errorf("Validate after Load: %v", err)
	}
	c.Seen.Capacity = 1
	if err := c.Validate(); err == nil {
		t.Error("Validate takes a seen.capacity of 1")
	}
}

func TestParseStart(t *testing.T) {
	for text, want := range map[string]Start{
		"now":                  {Mode: StartNow},
		"beginning":            {Mode: StartBeginning},
		"24h":                  {Mode: StartAge, Age: 24 * time.Hour},
		"90m":                  {Mode: StartAge, Age: 90 * time.Minute},
		"2026-01-31T00:00:00Z": {Mode: StartTime, Time: time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)},
	} {
		got, err := ParseStart(text)
		if err != nil || got != want {
			t.Errorf("ParseStart(%q) = %v, %v", text, got, err)
		}
		if again, err := ParseStart(got.String()); err != nil || again != want {
			t.Errorf("ParseStart(%q) after String = %v, %v", got, again, err)
		}
	}
	for _, text := range []string{"", "Now", "24", "0s", "-1h", "2026-01-31", "2026-01-31 00:00:00", "secret"} {
		if _, err := ParseStart(text); err == nil || text != "" && strings.Contains(err.Error(), text+" ") {
			t.Errorf("ParseStart(%q) = %v", text, err)
		}
	}
}

func TestStart_At(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]connector.Start{
		"now": {}, "beginning": {Beginning: true}, "12h": {Since: now.Add(-12 * time.Hour)},
		"2026-01-30T00:00:00Z": {Since: time.Date(2026, 1, 30, 0, 0, 0, 0, time.UTC)},
	} {
		start, err := ParseStart(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := start.At(now); got != want {
			t.Errorf("%s at %v = %v, want %v", text, now, got, want)
		}
	}
}

func TestLoad_NoFile(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.yaml")
	if _, err := Load(missing, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load of no file: %v", err)
	}
	if _, err := Load(write(t, strings.Repeat("#", maxFile+1)), nil); err == nil ||
		!strings.Contains(err.Error(), "larger than") {
		t.Errorf("Load of a huge file: %v", err)
	}
}

func TestFind(t *testing.T) {
	t.Chdir(t.TempDir())
	if path, ok := Find(); ok {
		t.Fatalf("found %s in an empty folder", path)
	}
	if err := os.Mkdir("twochat-connector.yaml", 0o700); err != nil {
		t.Fatal(err)
	}
	if path, ok := Find(); ok {
		t.Errorf("took a folder for a file: %s", path)
	}
	if err := os.Remove("twochat-connector.yaml"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("twochat-connector.yaml", []byte(small), 0o600); err != nil {
		t.Fatal(err)
	}
	if path, ok := Find(); !ok || path != "twochat-connector.yaml" {
		t.Errorf("Find = %s, %v", path, ok)
	}
}

// Problems are listed in the order of the file, then those of the environment, then those of flags, in whatever order
// they were found.
func TestProblems_Order(t *testing.T) {
	file := write(t, small+"log: { level: loud }\nstrat: now\n")
	_, err := FromFlags(Flags{Config: file, Start: "soon"}, []string{
		"TWOCHAT_CONNECTOR_SEEN_CAPACITY=1", "TWOCHAT_CONNECTOR_POLL_TIMEOUT=never",
	})
	var problems Problems
	if !errors.As(err, &problems) {
		t.Fatal(err)
	}
	var got []string
	for _, p := range problems {
		got = append(got, strings.TrimPrefix(p.Origin.String(), file+":")+" "+p.Path)
	}
	want := []string{
		"5 log.level", "6 strat", "environment TWOCHAT_CONNECTOR_POLL_TIMEOUT poll.timeout",
		"environment TWOCHAT_CONNECTOR_SEEN_CAPACITY seen.capacity", "flag --start start",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// Whatever is in a file, Load returns a valid configuration, or problems that have a text.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content, "24h")
	}
	f.Add([]byte("a: &a [*a]\n"), "[")
	f.Add([]byte("? {a: b}\n: c\n"), "[a,b]")
	f.Fuzz(func(t *testing.T, content []byte, variable string) {
		if strings.Contains(variable, "\x00") {
			return
		}
		l := newLoader()
		if l.readYAML("fuzz.yaml", content) {
			l.readEnvironment([]string{"TWOCHAT_CONNECTOR_TWOCHAT_STREAMS=" + variable, "TWOCHAT_CONNECTOR_START=" + variable})
			l.config.validate(l.wrong)
		}
		if len(l.problems) == 0 {
			if err := l.config.Validate(); err != nil {
				t.Errorf("loaded, but: %v", err)
			}
			if strings.Contains(l.config.String(), string(l.config.TwoChat.Streams[0].Number)) {
				t.Error("a number is printed")
			}
			return
		}
		for _, p := range l.problems {
			if p.Text == "" || p.Origin.Name == "" || strings.ContainsAny(p.String(), "\n\r") {
				t.Errorf("problem %q", p)
			}
		}
	})
}
