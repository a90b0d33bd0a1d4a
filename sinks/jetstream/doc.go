// Package jetstream is the sink for NATS JetStream. A commit is one atomic batch (ADR-50): the events, the rejects, and as its
// last message the next checkpoint, which the server takes only where the checkpoint before it is still the last one on its
// subject. So events and checkpoint are written together or not at all, and whoever was overtaken is refused by the
// server itself, however late its messages arrive.
package jetstream
