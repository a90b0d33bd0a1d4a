package pipeline

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
)

// A removed stream releases its place in the sink before the change is done; the others keep theirs. A change waits
// while the sink is not reached.
func TestReload_GivesUpWhatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		sink := &stuckSink{acquire: func(context.Context) (connector.State, error) {
			return connector.State{}, connector.ErrNotNow
		}}
		l := pipelineOf(t, sink)
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx) }()
		next := *l.Config
		next.TwoChat.Streams = []config.StreamConfig{
			l.Config.TwoChat.Streams[1], {Number: "+15550100300", Name: "c"}, {Number: "+15550100400", Name: "d"},
		}
		got, err := l.Reload(ctx, &next)
		if err != nil || got != (Reloaded{Begun: 2, Ended: 1, Kept: 1}) || sink.closed != 1 {
			t.Errorf("%+v, %v; %d logs closed", got, err, sink.closed)
		}
		time.Sleep(time.Minute)
		names := ""
		for _, s := range l.Report(time.Now()).Streams {
			names += s.Stream
		}
		if names != "bcd" {
			t.Errorf("the streams are %s", names)
		}
		stop()
		if err := <-done; err != nil || sink.closed != 4 {
			t.Errorf("Run: %v; %d logs closed", err, sink.closed)
		}
		if _, err := l.Reload(ctx, l.Config); err == nil {
			t.Error("a pipeline that has ended takes over a configuration")
		}
	})
}
