package clitest

import (
	"context"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// LogSink is a sink with one log, whose events it reads back.
type LogSink struct {
	sinks.Sink
	Of     connector.Log
	Events *[]connector.Event // of the log
}

// Log implements sinks.Sink: whoever asks gets the log.
func (s LogSink) Log(connector.Claim) connector.Log { return s.Of }

// ReadBack implements sinks.Sink. There are no rejects.
func (s LogSink) ReadBack(
	_ context.Context, _ string, event func(connector.StoredRecord) error, _ func([]byte) error,
) error {
	for i := range *s.Events {
		if err := event(connector.StoredRecord{Event: (*s.Events)[i].AppendJSON(nil)}); err != nil {
			return err
		}
	}
	return nil
}
