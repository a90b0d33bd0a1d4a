// Package jetstream is the sink for NATS JetStream. A commit is one atomic batch (ADR-50): the events, the rejects, and
// as its last message the next checkpoint, which the server takes only where the checkpoint before it is still the last
// one on its subject. So events and checkpoint are written together or not at all, and whoever was overtaken is refused
// by the server itself, however late its messages arrive.
//
// Whatever a commit is refused for, the owner of the log is looked up before that is judged: the server looks at
// message ids before it looks at the guard. What a person has to fix is a refusal by name, from settings that are read
// again every few seconds and at every oddity.
//
// A running process remembers where each log stood, and refuses one that went back: purged, recreated or restored. If a
// stream has replicas, it asks again for a while first, as a server that is cut off answers from what it had. What a
// process reads back after its take-over ends at that take-over itself, which a server that is behind does not have.
//
// A process that has just started knows nothing of the log but what is in it. It refuses a stream that has held
// messages and has no checkpoint left, and one with events of its own without their checkpoint. It cannot know of a
// stream that was deleted and recreated, or restored from a backup, while no connector ran: such a log is taken for
// what it looks like, a new one or an older one. So a process whose stream vanishes neither recreates it nor ends.
package jetstream
