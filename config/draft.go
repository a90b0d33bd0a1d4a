package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Draft is a first configuration file: every key for this sink, with its meaning. Keys that have the default value are
// commented out, except those that locate the sink.
func (c *Config) Draft() []byte {
	known := map[string]Key{}
	for _, key := range Reference() {
		known[key.Path] = key
	}
	d := &draft{}
	d.comment(0, "The configuration of twochat-connector. The keys that are commented out have their default values.")
	d.comment(0, "`twochat-connector check --offline` checks the file, `twochat-connector check` tests whether it "+
		"can run, and `twochat-connector explain` prints what it promises.")
	walk(reflect.ValueOf(c).Elem(), "", func(path string, value reflect.Value, f field) {
		depth := d.enter(path)
		if path == "twochat.streams" {
			d.streams(depth, known, c.TwoChat.Streams)
			return
		}
		key := known[path]
		d.comment(depth, key.Doc)
		indent := strings.Repeat("  ", depth)
		line := path[strings.LastIndexByte(path, '.')+1:] + ": " + yamlText(value)
		if !slices.Contains(draftKeys, path) && fmt.Sprint(plain(value)) == key.Default ||
			value.Kind() == reflect.Slice && value.Len() == 0 {
			line = "# " + line
		}
		d.out.WriteString(indent + line + "\n")
		if path == "accounts" {
			d.account(depth, known)
		}
	})
	return []byte(d.out.String())
}

// draftKeys locate a sink. The file has them even if they are the default.
var draftKeys = []string{
	"start", "sink.jetstream.url", "sink.kafka.brokers", "sink.kafka.topic", "sink.embedded.listen", "sink.embedded.dir",
	"sink.nats.url", "sink.file.path",
}

// draft is a file that is being written.
type draft struct {
	out  strings.Builder
	path []string // of the section that was last written to
}

// enter begins the sections of a key that the previous key was not in, and returns the key's depth.
func (d *draft) enter(path string) (depth int) {
	sections := strings.Split(path, ".")
	sections = sections[:len(sections)-1]
	common := 0
	for common < min(len(sections), len(d.path)) && sections[common] == d.path[common] {
		common++
	}
	if common == 0 {
		d.out.WriteString("\n")
	}
	for i := common; i < len(sections); i++ {
		d.out.WriteString(strings.Repeat("  ", i) + sections[i] + ":\n")
	}
	d.path = sections
	return len(sections)
}

// comment writes a text as comment lines that fit a terminal.
func (d *draft) comment(depth int, text string) {
	const columns = 80
	begin := strings.Repeat("  ", depth) + "#"
	line := begin
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > columns && line != begin {
			d.out.WriteString(line + "\n")
			line = begin
		}
		line += " " + word
	}
	d.out.WriteString(line + "\n")
}

func (d *draft) streams(depth int, known map[string]Key, streams []StreamConfig) {
	const path = "twochat.streams"
	d.comment(depth, known[path].Doc)
	indent := strings.Repeat("  ", depth)
	d.out.WriteString(indent + "streams:\n")
	for _, s := range streams {
		d.out.WriteString(indent + "  - number: " + yamlText(reflect.ValueOf(string(s.Number))) + "\n")
	}
	for _, key := range []string{"name", "remote"} {
		d.comment(depth+2, known[path+"[]."+key].Doc)
		d.out.WriteString(indent + "    # " + key + ": \"\"\n")
	}
}

// account says what the keys of an account mean.
func (d *draft) account(depth int, known map[string]Key) {
	d.comment(depth, "Each has streams as twochat has them, poll with what differs from poll below, and:")
	for _, key := range []string{"name", "base_url", "api_key_file", "pseudonym_key_file"} {
		d.comment(depth, key+": "+known["accounts[]."+key].Doc)
	}
}

// yamlText is a value as the file has it, on one line.
func yamlText(value reflect.Value) string {
	if value.Kind() == reflect.Slice {
		items := make([]string, value.Len())
		for i := range items {
			items[i] = yamlText(value.Index(i))
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	text, err := yaml.Marshal(plain(value))
	if err != nil {
		return fmt.Sprint(plain(value))
	}
	return strings.TrimSpace(string(text))
}
