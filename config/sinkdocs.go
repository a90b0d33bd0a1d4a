package config

import "strings"

// sinkDoc is the one-line description of a sink's key, by its dotted path starting with `sink.`; empty if there is no
// such key.
func sinkDoc(path string) string {
	path, ok := strings.CutPrefix(path, "sink.")
	if !ok {
		return ""
	}
	if doc, ok := sinkDocs[path]; ok {
		return doc
	}
	// Sinks that share settings share their descriptions.
	_, key, _ := strings.Cut(path, ".")
	return sinkDocs[key]
}

// sinkDocs is here and not in the sinks' packages, as several of them share keys. A test checks that it is complete and
// has no obsolete keys.
var sinkDocs = map[string]string{
	"create":     "create what is missing on the broker, with the right settings",
	"insecure":   "accept credentials in clear text to another machine",
	"timeout":    "time limit of a single exchange with the server",
	"url":        "one server or several, with commas: nats://host:4222, or tls:// to insist on TLS",
	"creds_file": "file with NATS credentials (JWT and seed)",
	"nkey_file":  "file with the seed of an nkey",
	"token_file": "file with a token",

	"tls.enabled":     "encrypt, trusting the system's authorities; any other key of tls turns encryption on too",
	"tls.ca_file":     "file with the authorities to trust",
	"tls.cert_file":   "file with the client's certificate",
	"tls.key_file":    "file with the client certificate's key",
	"tls.server_name": "name to expect in the server's certificate",
	"tls.insecure":    "accept any certificate",

	"jetstream.stream":     "the JetStream stream that holds events, checkpoints and quarantine",
	"jetstream.subject":    "first part of the events' subjects",
	"jetstream.domain":     "JetStream domain of the stream, if servers are connected as leaf nodes",
	"jetstream.api_prefix": "subject under which another account's JetStream API is imported, instead of `$JS.API`",
	"jetstream.replicas":   "replicas of a stream made by create; 0 = 3 in a cluster, else 1",
	"jetstream.max_age":    "maximum age of messages in a stream made by create; 0 = no limit",
	"jetstream.max_bytes":  "maximum size of a stream made by create; 0 = no limit",

	"embedded.listen":    "address for NATS clients, on loopback; port 0 picks a free one",
	"embedded.dir":       "folder of the data, for one process at a time",
	"embedded.max_age":   "maximum age of events; 0 = for ever",
	"embedded.max_bytes": "maximum size of the events; when it is reached, commits wait; 0 = the size of the disk",

	"nats.subject": "first part of the events' subjects",
	"nats.state":   "folder of the checkpoints, which core NATS cannot keep; required",

	"file.path":      "the file of JSON lines; checkpoints and rejects are beside it",
	"file.max_bytes": "size at which the file is rotated; 0 = never",
	"file.keep":      "number of rotated files to keep; 0 = all",
	"file.mode":      "mode of new files, in quotes: \"0640\" lets the group read events and rejects; empty = 0600",

	"stdout.state": "folder of the checkpoints; without it every start is a first start",

	"kafka.brokers":             "host:port of the first brokers to try",
	"kafka.topic":               "topic of the events; TOPIC.checkpoints and TOPIC.quarantine are beside it",
	"kafka.partitions":          "partitions of an events topic made by create; 0 = 6",
	"kafka.replicas":            "replicas of topics made by create; 0 = 3, or as many as the cluster is set up for",
	"kafka.retention":           "how long topics made by create keep events and quarantine; 0 = for ever",
	"kafka.compression":         "compression of record batches: gzip, which every client reads; zstd, lz4, snappy or none",
	"kafka.sasl.mechanism":      "plain, scram-sha-256, scram-sha-512 or oauthbearer; empty = none",
	"kafka.sasl.username":       "user name for plain and scram",
	"kafka.sasl.password_file":  "file with the password for plain and scram",
	"kafka.sasl.token_file":     "file with the token for oauthbearer",
	"kafka.accept_partitions":   "the topic's present number of partitions, to accept that chats move",
	"kafka.transaction_timeout": "how long a dead writer may hold back read_committed consumers",
}
