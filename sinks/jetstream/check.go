package jetstream

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Check looks at the servers, the stream and the rights. It writes no message.
func (s *Sink) Check(ctx context.Context, claims []connector.Claim) ([]connector.Finding, error) {
	k, err := s.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("check: %w", err)
	}
	info, err := k.streamInfo(ctx, s.config.Stream)
	var r report
	s.versions(ctx, k, &r, info)
	if err != nil {
		if refusal := s.unasked(k, err); refusal != nil {
			r.refuse(refusal)
			var api *apiError
			r[len(r)-1].Missing = errors.As(err, &api) && api.Code == codeStreamMissing
			return r, nil
		}
		if errors.Is(err, errNoResponders) {
			err = fmt.Errorf("%w: %w", err, s.noJetStream())
		}
		return r, fmt.Errorf("check: read the stream's settings: %w", err)
	}
	s.mu.Lock()
	s.existed = true
	s.mu.Unlock()
	before := len(r)
	r.stream(info, s)
	r.purged(info, claims)
	for _, finding := range r {
		s.firstWarning(finding) // whoever asked says it
	}
	if !r.refused(before) {
		if err := s.probe(ctx, k, &r, info, claims); err != nil {
			return r, fmt.Errorf("check: probe the rights: %w", err)
		}
	}
	return r, nil
}

// versions judges the server that we are connected to, and those that hold the stream or may come to hold it.
func (s *Sink) versions(ctx context.Context, k *link, r *report, info *jetstream.StreamInfo) {
	before := len(*r)
	wanted := peersOf(info)
	found := k.peers(ctx, wanted)
	s.count(k, found)
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

// unasked is why the stream's settings cannot be read, where only a person can mend it; else nil.
func (s *Sink) unasked(k *link, err error) *connector.Refusal {
	var api *apiError
	var denied *deniedError
	switch {
	case errors.As(err, &api):
		return s.refusal(api)
	case errors.As(err, &denied):
		return s.denial(denied)
	case errors.Is(err, errNoResponders) && !s.joined(k):
		return s.noJetStream()
	}
	return nil
}

// joined says whether JetStream may be on a server that is away for a while: elsewhere in the cluster, or behind a leaf node.
func (s *Sink) joined(k *link) bool {
	return s.config.Domain != "" || k.conn.ConnectedClusterName() != ""
}

// noJetStream is the refusal of a server that does not answer the JetStream API.
func (s *Sink) noJetStream() *connector.Refusal {
	switch {
	case s.config.Domain != "":
		return &connector.Refusal{
			Thing: "JetStream domain " + s.config.Domain, Cause: "nobody answers for it: it has another name, or the leaf node is not joined to it now",
			Hint: "set `sink.jetstream.domain` to what the server with the stream has as jetstream.domain, and see that the leaf node's remote is of this account",
		}
	case s.config.APIPrefix != "":
		return &connector.Refusal{
			Thing: "JetStream API " + s.config.APIPrefix, Cause: "nobody answers there: this account does not import it",
			Hint: "import the service $JS.API.> of the stream's account with `to: " + s.config.APIPrefix + ".>`",
		}
	}
	return &connector.Refusal{
		Thing: "JetStream", Cause: "it is not enabled, or this user may not use it",
		Hint: "enable JetStream in the server's configuration, or use the sink `nats` (best effort)",
	}
}
