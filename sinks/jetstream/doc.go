// Package jetstream is the sink for NATS JetStream. A commit is one atomic batch (ADR-50): the events, the rejects, and
// as its last message the next checkpoint, which the server accepts only if the previous checkpoint is still the last
// message on its subject. So events and checkpoint are written together or not at all, and the server itself refuses an
// earlier owner, however late its messages arrive.
//
// Whatever the reason of a refused commit, the owner of the log is looked up first, as the server checks message ids
// before it checks the guard. Conditions that a person has to fix are refused by name, based on settings that are read
// again every few seconds and after every unexpected answer.
//
// A running process remembers how far each log had got, and refuses one that went back: purged, recreated or restored.
// If a stream has replicas, it asks again for a while first, as a server that is cut off answers from old data. Reading
// back after a take-over ends at the take-over's own message, which a server that is behind does not have.
//
// A process that has just started knows nothing of the log but what is in it. It refuses a stream that has held
// messages and has no checkpoint left, and one with events of its own without their checkpoint. It cannot know of a
// stream that was deleted and recreated, or restored from a backup, while no connector ran: such a log is taken for a
// new or an older one. So a process whose stream vanishes neither recreates it nor exits.
package jetstream
