package jetstream

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// peer is a server, as it describes itself.
type peer struct {
	Name      string `json:"name"`
	Cluster   string `json:"cluster"`
	Version   string `json:"ver"`
	JetStream bool   `json:"jetstream"`
}

const (
	// serversSubject asks all servers for the connections of the user's own account. Every account may do that unless it
	// is denied.
	serversSubject = "$SYS.REQ.SERVER.PING.CONNZ"
	// rollCall is how long to wait for the next server's answer.
	rollCall = 400 * time.Millisecond
	// mostServers limits how many answers are kept.
	mostServers = 64
)

// peers asks the servers for their names and versions. It leaves out those that do not answer: the list may be
// incomplete or empty.
func (k *link) peers(ctx context.Context, wanted []string) map[string]peer {
	found := make(map[string]peer)
	id := nuid.Next()
	x, done := k.await(id, mostServers, func(subject string) bool { return subject == serversSubject })
	defer done(false)
	if err := k.conn.PublishRequest(serversSubject, k.inbox+id+".1", []byte(`{"limit":1}`)); err != nil {
		return found
	}
	timer := time.NewTimer(min(k.timeout, 2*rollCall))
	defer timer.Stop()
	for {
		select {
		case m := <-x.answers:
			var answer struct {
				Server peer `json:"server"`
			}
			if m.Header.Get("Status") == noResponders {
				return found
			}
			if json.Unmarshal(m.Data, &answer) == nil && answer.Server.Name != "" {
				found[answer.Server.Name] = answer.Server
			}
			if len(wanted) > 0 && known(wanted, found) || len(found) >= mostServers {
				return found
			}
			timer.Reset(rollCall)
		case err := <-x.denied:
			if err != nil { // a user without the right gets no answer
				return found
			}
		case <-ctx.Done():
			return found
		case <-timer.C:
			return found
		}
	}
}

func known(wanted []string, found map[string]peer) bool {
	for _, name := range wanted {
		if _, ok := found[name]; !ok {
			return false
		}
	}
	return true
}

// peersOf names the servers that hold a stream.
func peersOf(info *jetstream.StreamInfo) []string {
	if info == nil || info.Cluster == nil {
		return nil
	}
	var names []string
	if info.Cluster.Leader != "" {
		names = append(names, info.Cluster.Leader)
	}
	for _, replica := range info.Cluster.Replicas {
		names = append(names, replica.Name)
	}
	return names
}

// peers checks the versions of the servers that hold the stream, or may come to hold it. The leader's own report counts
// for the leader.
func (r *report) peers(names []string, found map[string]peer, info *jetstream.StreamInfo) {
	for _, name := range names {
		leads := info != nil && info.Cluster != nil && info.Cluster.Leader == name
		if p := found[name]; !leads && tooOld(p.Version) {
			r.refuse(tooOldServer(name, p.Version))
		}
	}
}

// count records how many servers with JetStream there are where the stream is, as far as they answer, for the replicas
// in hints.
func (h *hints) count(k *link, found map[string]peer) {
	n, cluster := 0, k.conn.ConnectedClusterName()
	for _, p := range found {
		if p.JetStream && (p.Cluster == cluster || h.config.Domain != "") {
			n++
		}
	}
	if n == 0 && cluster != "" {
		n = 3 // a cluster that does not report its size
	}
	h.mu.Lock()
	h.servers = max(n, 1)
	h.mu.Unlock()
}
