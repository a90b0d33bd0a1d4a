// Package kafka is the sink that writes to Apache Kafka, each message once for consumers that read committed records.
//
// A commit is one transaction: the events in their partitions, rejects in the quarantine topic, and the next checkpoint in a
// compacted topic. The transactional id belongs to the stream, so that a new owner fences an earlier one, and its epoch is
// raised before each transaction, so that a request of an earlier commit that arrives late is refused by the broker
// (libraries.md §3). Whatever is answered unclearly ends in a new Acquire, which reads the checkpoint back.
//
// segmentio/kafka-go is used through its Client and Transport. Its Writer hides retries, and its readers return aborted
// records and transaction markers as messages; the record batches of a transaction and the read-back are therefore our own.
package kafka
