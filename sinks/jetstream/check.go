package jetstream

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/connector"
)

// inspection checks servers, stream and rights over one connection, and collects findings.
type inspection struct {
	sink   *Sink
	link   *link
	report report
}

// Check checks the servers, the stream and the rights. It writes no message.
func (s *Sink) Check(ctx context.Context, claims []connector.Claim) ([]connector.Finding, error) {
	k, err := s.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("check: %w", err)
	}
	info, err := k.streamInfo(ctx, s.config.Stream)
	i := &inspection{sink: s, link: k}
	i.versions(ctx, info)
	r := &i.report
	if err != nil {
		if refusal := s.hints.unasked(k, err); refusal != nil {
			r.refuse(refusal)
			var api *apiError
			i.report[len(i.report)-1].Missing = errors.As(err, &api) && api.Code == codeStreamMissing
			return i.report, nil
		}
		if errors.Is(err, errNoResponders) {
			err = fmt.Errorf("%w: %w", err, s.hints.noJetStream())
		}
		return i.report, fmt.Errorf("check: read the stream's settings: %w", err)
	}
	s.hints.exists()
	before := len(i.report)
	r.stream(info, s)
	r.purged(info, claims)
	for _, finding := range i.report {
		s.warnings.first(finding) // the caller reports it
	}
	if r.refused(before) {
		return i.report, nil
	}
	if err := i.probe(ctx, info, claims); err != nil {
		return i.report, fmt.Errorf("check: probe the rights: %w", err)
	}
	if r.refused(before) {
		return i.report, nil
	}
	if err := i.members(ctx, info); err != nil {
		return i.report, fmt.Errorf("check: probe the rights of members: %w", err)
	}
	return i.report, nil
}

// versions checks the version of the server that we are connected to, and of those that hold the stream or may come to
// hold it.
func (i *inspection) versions(ctx context.Context, info *jetstream.StreamInfo) {
	k, r := i.link, &i.report
	before := len(*r)
	wanted := peersOf(info)
	found := k.peers(ctx, wanted)
	i.sink.hints.count(k, found)
	if version := k.conn.ConnectedServerVersion(); tooOld(version) {
		r.refuse(tooOldServer("", version))
		return
	}
	if info != nil {
		r.leader(info)
	}
	if len(wanted) == 0 {
		for name, p := range found {
			if p.JetStream && p.Cluster == k.conn.ConnectedClusterName() {
				wanted = append(wanted, name)
			}
		}
	}
	r.peers(wanted, found, info)
	if len(*r) == before {
		r.add(connector.FindingOK, "NATS server "+k.conn.ConnectedServerVersion(), "has atomic batches", "")
	}
}

// joined reports whether JetStream may be on a server that is not reachable for a while: elsewhere in the cluster, or
// behind a leaf node.
func (c Config) joined(k *link) bool {
	return c.Domain != "" || k.conn.ConnectedClusterName() != ""
}
