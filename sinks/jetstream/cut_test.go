package jetstream

import (
	"net/url"
	"strconv"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// TestCutOffServer cuts the server that the connection goes to off from the others. It answers pings all the time.
func TestCutOffServer(t *testing.T) {
	t.Parallel()
	ports := freePorts(t, 3)
	ways := []*proxy{startProxy(t, "127.0.0.1:"+strconv.Itoa(ports[1])), startProxy(t, "127.0.0.1:"+strconv.Itoa(ports[2]))}
	through := func(p *proxy) *url.URL { return &url.URL{Scheme: "nats", Host: p.listener.Addr().String()} }
	var servers []*testServer
	for i, routes := range [][]*url.URL{{through(ways[0]), through(ways[1])}, {routeTo(ports[2])}, {routeTo(ports[1])}} {
		s := clusterServer(t, i, ports[i], routes)
		s.options.Cluster.PoolSize = -1
		s.start(t)
		t.Cleanup(s.stop)
		servers = append(servers, s)
	}
	meet(t, servers)
	c := config(servers[0].url() + "," + servers[1].url() + "," + servers[2].url())
	maker := openSink(t, c, connector.ModeStructured)
	eventually(t, "the stream", func() bool { return maker.Create(t.Context()) == nil })
	var sink *Sink
	eventually(t, "a connection to the right server", func() bool {
		sink = openSink(t, c, connector.ModeStructured)
		k, err := sink.connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return k.conn.ConnectedServerName() == "n0"
	})
	log := openLog(t, sink, sinktest.Claim(stream, "one"))
	before := keepCommitting(t, log)
	for _, way := range ways {
		way.deaf.Store(true)
		way.hold()
	}
	after := keepCommitting(t, log)
	if now := sink.held().conn.ConnectedServerName(); now == "n0" || after.Sequence < before.Sequence+5 {
		t.Errorf("connected to %s, sequence %d after %d", now, after.Sequence, before.Sequence)
	}
	wantSequences(t, clientOf(t, servers[1].url()), stream, after.Sequence)
}
