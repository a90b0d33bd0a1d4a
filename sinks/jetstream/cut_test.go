package jetstream

import (
	"net/url"
	"strconv"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// TestCutOffServer cuts off the server to which the connection goes from the others. It answers pings all the time.
func TestCutOffServer(t *testing.T) {
	t.Parallel()
	ports := freePorts(t, 3)
	ways := []*proxy{
		startProxy(t, "127.0.0.1:"+strconv.Itoa(ports[1])),
		startProxy(t, "127.0.0.1:"+strconv.Itoa(ports[2])),
	}
	through := func(p *proxy) *url.URL { return &url.URL{Scheme: "nats", Host: p.listener.Addr().String()} }
	// The routes that servers tell each other about lead through the proxies too, and none to the first.
	servers := make([]*testServer, 3)
	for i, routes := range [][]*url.URL{{through(ways[0]), through(ways[1])}, {routeTo(ports[2])}, {routeTo(ports[1])}} {
		servers[i] = clusterServer(t, i, ports[i], routes)
		servers[i].options.Cluster.PoolSize, servers[i].options.Cluster.Advertise = -1, "127.0.0.1:1"
		if i > 0 {
			servers[i].options.Cluster.Advertise = ways[i-1].listener.Addr().String()
		}
	}
	for _, i := range []int{1, 2, 0} { // the two that stay together find each other first
		servers[i].start(t)
		t.Cleanup(servers[i].stop)
		if i == 2 {
			eventually(t, "the two to meet", func() bool {
				return servers[1].server.NumRoutes() > 0 && servers[2].server.NumRoutes() > 0
			})
		}
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
