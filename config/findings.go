package config

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Findings lists what is not wrong with the configuration but weakens what it promises, and what cannot be read just
// now.
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
			Text: c.Start.String() + " is in the future: a stream's first start delivers nothing of what is listed then",
			Hint: "set start: now for what comes from the first start on, or a time that has passed",
		})
	}
	if text := c.headersText(); text != "" {
		list = append(list, connector.Finding{
			Level: connector.FindingWarning, Thing: "events.headers", Text: text,
			Hint: "take it out",
		})
	}
	list = append(list, c.Admin.findings()...)
	for _, finding := range c.Sink.Validate() {
		finding.Thing = c.sinkPath(finding.Thing)
		list = append(list, finding)
	}
	return list
}

// headersText tells what is wrong with events.headers, or is empty.
func (c *Config) headersText() string {
	switch {
	case !c.Events.Headers:
		return ""
	case !slices.Equal(c.Sink.Chosen(), []string{"kafka"}):
		return "only the sink kafka knows this key"
	case c.Events.Mode == connector.ModeBinary:
		return "in binary mode all attributes are headers anyway"
	}
	return "the CloudEvents SDK for Python takes a record with ce_ headers for one in binary mode, and the whole " +
		"event for its data"
}

// sinkPath is the dotted path that a sink's finding means, so far as it can be told.
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
