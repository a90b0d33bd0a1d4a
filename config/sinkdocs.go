package config

import "strings"

// sinkDoc is the one-line meaning of a sink's key, by its dotted path with `sink.` before it; empty if there is no such
// key.
func sinkDoc(path string) string {
	path, ok := strings.CutPrefix(path, "sink.")
	if !ok {
		return ""
	}
	if doc, ok := sinkDocs[path]; ok {
		return doc
	}
	// Sinks that share settings share their meanings.
	_, key, _ := strings.Cut(path, ".")
	return sinkDocs[key]
}

// sinkDocs stands here and not in the sinks' packages, as several of them share keys. A test holds it
// complete, and free of keys that are gone.
var sinkDocs = map[string]string{
	"create":     "make what is missing in the broker, with the right settings",
	"insecure":   "accept credentials in clear text to another machine",
	"timeout":    "of a single exchange with the server",
	"url":        "one server or several, with commas: nats://host:4222, or tls:// to insist on TLS",
	"creds_file": "file with NATS credentials (JWT and seed)",
	"nkey_file":  "file with the seed of an nkey",
	"token_file": "file with a token",

	"tls.enabled":     "encrypt with the system's authorities; any other key of tls does as well",
	"tls.ca_file":     "file with the authorities to trust",
	"tls.cert_file":   "file with the client's certificate",
	"tls.key_file":    "file with the client certificate's key",
	"tls.server_name": "name to expect in the server's certificate",
	"tls.insecure":    "accept any certificate",

	"jetstream.stream":     "the JetStream stream that holds events, checkpoints and quarantine",
	"jetstream.subject":    "first part of the events' subjects",
	"jetstream.domain":     "JetStream domain of the stream, where servers are joined as leaf nodes",
	"jetstream.api_prefix": "subject under which another account's JetStream API is imported, in place of `$JS.API`",
	"jetstream.replicas":   "of a stream made by create; 0 = 3 in a cluster, else 1",
	"jetstream.max_age":    "of messages in a stream made by create; 0 = no limit",
	"jetstream.max_bytes":  "of a stream made by create; 0 = no limit",

	"embedded.listen":    "address for NATS clients, on loopback; port 0 is any",
	"embedded.dir":       "folder of the data, for one process at a time",
	"embedded.max_age":   "of events; 0 = for ever",
	"embedded.max_bytes": "of events; commits wait where it is full; 0 = what the disk takes",

	"nats.subject": "first part of the events' subjects",
	"nats.state":   "folder of the checkpoints, which core NATS cannot keep; required",

	"file.path":      "the file of JSON lines; checkpoints and rejects lie beside it",
	"file.max_bytes": "size at which the file is rotated; 0 = never",
	"file.keep":      "rotated files that stay; 0 = all",
	"file.mode":      "of files that are made, in quotes: \"0640\" lets the group read events and rejects; empty = 0600",

	"stdout.state": "folder of the checkpoints; without it every start is a first start",

	"kafka.brokers":             "host:port of brokers to begin with",
	"kafka.topic":               "topic of the events; TOPIC.checkpoints and TOPIC.quarantine lie beside it",
	"kafka.partitions":          "of the events' topic made by create; 0 = 6",
	"kafka.replicas":            "of topics made by create; 0 = 3, or as many as the cluster is set up for",
	"kafka.retention":           "of events and quarantine in topics made by create; 0 = for ever",
	"kafka.compression":         "of record batches: gzip, which every client reads; zstd, lz4, snappy or none",
	"kafka.sasl.mechanism":      "plain, scram-sha-256, scram-sha-512 or oauthbearer; empty = none",
	"kafka.sasl.username":       "of plain and scram",
	"kafka.sasl.password_file":  "file with the password of plain and scram",
	"kafka.sasl.token_file":     "file with the token of oauthbearer",
	"kafka.accept_partitions":   "the number of partitions that the topic has now, to accept that chats move",
	"kafka.transaction_timeout": "how long a dead writer may hold back read_committed consumers",
}
