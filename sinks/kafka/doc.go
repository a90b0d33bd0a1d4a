// Package kafka is the sink that writes to Apache Kafka, each message once for consumers that read committed records.
//
// A commit is one transaction: the events in their partitions, rejects in the quarantine topic, and the next checkpoint
// in a compacted topic. The transactional id belongs to the stream, so that a new owner fences an earlier one, and its
// epoch is raised before each transaction, so that a request of an earlier commit that arrives late is refused by the
// broker. Whatever is answered unclearly ends in a new Acquire, which reads the checkpoint back.
//
// What a take-over reads is fenced as what it writes. A broker that lost its controller goes on answering as the leader
// that it was, so all brokers that hold the topics are asked who leads, the newest term wins and is sent with every
// reading, most of the brokers must have answered, before and afterwards, and the take-over is committed only once
// nothing newer lies below its own record, which the leader and its replicas took. Committed events above the
// checkpoint that was read prove that it is old.
//
// What passes is waited out (ErrNotNow): brokers that hang, are away or move. What only a person can mend is a
// *Refusal: rights, credentials, topics that were deleted, made anew or lost their end, addresses that lead nowhere,
// settings that break the promise, also those that change while the sink is in use.
//
// Of segmentio/kafka-go only the messages are used. Its Writer hides retries, its readers return aborted records and
// transaction markers as messages, and its Transport believes one broker and keeps dead connections; the record batches
// of a transaction, the read-back and the connections are therefore our own.
package kafka
