package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Draft is the configuration as a file for a person to go on with: every key that the file may have for this sink, with
// what it means. What is as it is without a file is commented out, but for what names the sink.
func (c *Config) Draft() []byte {
	known := map[string]Key{}
	for _, key := range Reference() {
		known[key.Path] = key
	}
	d := &draft{}
	d.comment(0, "The configuration of twochat-connector. A key that is commented out has this value without it.")
	d.comment(0, "`twochat-connector check --offline` says whether the file is right, `twochat-connector check` whether it "+
		"can run, and `twochat-connector explain` what it promises.")
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
	})
	return []byte(d.out.String())
}

// draftKeys say where a sink is, which its file says even where it is the default.
var draftKeys = []string{
	"start", "sink.jetstream.url", "sink.kafka.brokers", "sink.kafka.topic", "sink.embedded.listen", "sink.embedded.dir",
	"sink.nats.url", "sink.file.path",
}

// draft is a file that is being written.
type draft struct {
	out  strings.Builder
	path []string // of the section that was written to last
}

// enter begins the sections that a key stands in and the one before did not, and returns how deep it stands.
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

// comment writes a text in lines for a terminal.
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

// yamlText is a value as the file would give it, on one line.
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
