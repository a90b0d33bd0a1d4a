package pipeline

import (
	"cmp"
	"context"
	"net"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// BesideEmbedded is the sink with which another process reaches a running embedded server.
func BesideEmbedded(c sinks.Config) (beside sinks.Config, running bool) {
	client := *sinks.Defaults().JetStream
	client.URL = "nats://" + c.Embedded.Listen
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(context.Background(), "tcp", c.Embedded.Listen)
	if err != nil {
		return sinks.Config{JetStream: &client}, false
	}
	return sinks.Config{JetStream: &client}, conn.Close() == nil
}

// hintReach is the hint for a sink that does not answer, if nothing more is known.
const hintReach = "check that it is running, and that this machine reaches it at the configured address"

// ErrorFinding is the finding of check for something that did not answer.
func ErrorFinding(thing string, err error) connector.Finding {
	finding := connector.Finding{Level: connector.FindingRefused, Thing: thing, Text: "it cannot be checked: " +
		err.Error(), Hint: hintReach}
	told, found := connector.DiagnosticOf(err)
	if found { // it answers, so its own hint is better
		finding.Thing, finding.Text, finding.Hint = cmp.Or(told.Thing, thing), told.Cause, told.Hint
	}
	return finding
}

// sinkTrouble is why a sink did not answer, as check reports it.
func sinkTrouble(err error) cli.Problem {
	finding := ErrorFinding("", err)
	text := err.Error()
	if finding.Thing != "" {
		text = finding.Thing + ": " + finding.Text
	}
	return cli.Problem{Text: text, Hint: finding.Hint}
}
