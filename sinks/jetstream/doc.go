// Package jetstream is the sink for NATS JetStream. A commit is one atomic batch (ADR-50): the events, the rejects and,
// as its last message, the next checkpoint, which the server accepts only if the previous checkpoint is still the last
// message on its subject. So events and checkpoint are written together or not at all, and the server itself refuses an
// earlier owner, however late its messages arrive.
//
// After any refused commit, the owner of the log is looked up first, as the server checks message ids before it checks
// the guard. Conditions that a person has to fix are named in a refusal. They are recognised by the stream's settings,
// which are read again every few seconds and after every unexpected answer.
//
// A running process remembers where each log ended, and refuses a log that went back because it was purged, recreated
// or restored. If a stream has replicas, it reads again for a while first, as a server that is cut off answers with old
// data. Reading back after a takeover ends at the takeover's own message, which a server that is behind does not have.
//
// A process that has just started knows only what is in the log. It refuses a stream that has held messages and has no
// checkpoint left, and one with events of its own without their checkpoint. It cannot recognise a stream that was
// deleted and recreated, or restored from a backup, while no connector was running: it takes such a log for a new or an
// older one. So a process whose stream vanishes neither recreates it nor exits.
package jetstream
