// Package kafka is the sink that writes to Apache Kafka, each message once for consumers that read committed records.
//
// A commit is one transaction: the events in their partitions, rejects in the quarantine topic, and the next checkpoint
// in a compacted topic. The transactional id belongs to the stream, so that a new owner fences an earlier one, and its
// epoch is raised before each transaction, so that a request of an earlier commit that arrives late is refused by the
// broker. After every unclear answer the stream is acquired again, which reads the checkpoint back.
//
// What a takeover reads is fenced like what it writes. A broker that lost its controller keeps answering as if it were
// still the leader. So all brokers that hold the topics are asked who leads. The newest leader epoch wins, and is sent
// with every read. Most of the brokers have to answer, both before and after reading. The takeover is committed only if
// there is nothing newer below its own record, which the leader and its replicas have stored. Committed events above
// the checkpoint that was read prove that it is old.
//
// Conditions that pass by themselves are waited out (ErrNotNow): brokers that hang, are down or move. Those that only a
// person can fix are a *Refusal: missing rights, wrong credentials, topics that were deleted, recreated or truncated,
// addresses that cannot be reached, and settings that break the guarantee, also if they change while the sink is in
// use.
//
// Replicas find each other in a group of the broker in which nothing is consumed: its leader only tells all members who
// they are.
//
// Only the messages of segmentio/kafka-go are used. Its Writer hides retries, its readers return aborted records and
// transaction markers as messages, and its Transport believes one broker and keeps dead connections. Therefore the
// record batches of a transaction, reading back and the connections are implemented here.
package kafka
