package embedded

import (
	"log/slog"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/jetstream"
	natssink "github.com/twochat-connector/twochat-connector/sinks/nats"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// beside is another sink on the embedded server, in the same process like the server's own sink.
func beside(t *testing.T, sink *Sink, mode connector.Mode) *jetstream.Sink {
	t.Helper()
	other, err := jetstream.Open(jetstream.Config{Connection: natssink.Connection{InProcess: &sink.inside}},
		connector.Encoding{Mode: mode, TypePrefix: sinktest.TypePrefix}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return other
}
