package config

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Findings lists what is valid but weakens the promise, and what cannot be read at the moment.
func (c *Config) Findings() []connector.Finding {
	list := c.fileFindings()
	if c.Poll.Sweep.Every == 0 {
		list = append(list, connector.Finding{
			Level: connector.FindingWarning, Thing: "poll.sweep.every",
			Text: "no sweeps: a message that the API lists late, below the newest pages, is never found",
			Hint: "set poll.sweep.every: 1h",
		})
	}
	if c.Start.Mode == StartTime && c.Start.Time.After(time.Now()) {
		list = append(list, connector.Finding{
			Level: connector.FindingWarning, Thing: "start",
			Text: c.Start.String() + " is in the future: a stream's first start delivers none of the messages listed then",
			Hint: "set start: now for messages from the first start on, or a time in the past",
		})
	}
	if text := c.headersText(); text != "" {
		list = append(list, connector.Finding{
			Level: connector.FindingWarning, Thing: "events.headers", Text: text,
			Hint: "remove it",
		})
	}
	list = append(list, c.Admin.findings()...)
	for _, finding := range c.Sink.Validate() {
		finding.Thing = c.sinkPath(finding.Thing)
		list = append(list, finding)
	}
	return list
}

// headersText explains what is wrong with events.headers, or is empty.
func (c *Config) headersText() string {
	switch {
	case !c.Events.Headers:
		return ""
	case !slices.Equal(c.Sink.Chosen(), []string{"kafka"}):
		return "only the sink kafka uses this key"
	case c.Events.Mode == connector.ModeBinary:
		return "in binary mode all attributes are headers anyway"
	}
	return "the CloudEvents SDK for Python reads a record with ce_ headers as binary mode, and the whole " +
		"event as its data"
}

// sinkPath is the dotted path that a sink's finding is about, as far as it is known.
func (c *Config) sinkPath(thing string) string {
	section := "sink"
	if chosen := c.Sink.Chosen(); len(chosen) > 0 {
		section += "." + chosen[0]
	}
	switch {
	case thing == "sink" || strings.HasPrefix(thing, "sink."):
		return thing
	case strings.HasPrefix("sink."+thing+".", section+"."):
		return "sink." + thing
	case pathForm.MatchString(thing):
		return section + "." + thing
	}
	return section
}

var pathForm = regexp.MustCompile(`^[a-z_]+(\[[0-9]+\])?(\.[a-z_]+(\[[0-9]+\])?)*$`)

func sinkText(f connector.Finding) string {
	if f.Hint == "" {
		return f.Text
	}
	return f.Text + "; " + f.Hint
}
