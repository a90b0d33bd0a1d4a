package kafka

import (
	"fmt"
	"math"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Config is the `sink.kafka` part of the configuration.
type Config struct {
	// Brokers are the first addresses to try (host:port); the cluster names the other brokers.
	Brokers []string `yaml:"brokers"`
	// Topic holds the events. Checkpoints and quarantine are in Topic.checkpoints and Topic.quarantine.
	Topic string `yaml:"topic"`
	// Create creates missing topics.
	Create bool `yaml:"create"`
	// Partitions is the number of partitions of a new events topic; 0 means six.
	Partitions int `yaml:"partitions"`
	// Replicas is the number of replicas of new topics; 0 means three, or as many as the cluster is set up for.
	Replicas int `yaml:"replicas"`
	// Retention is how long new topics keep events and quarantine; 0 means forever. Checkpoints are always kept.
	Retention time.Duration `yaml:"retention"`
	// Compression of record batches: gzip, zstd, lz4, snappy or none. Every client reads gzip.
	Compression string `yaml:"compression"`
	SASL        SASL   `yaml:"sasl"`
	TLS         TLS    `yaml:"tls"`
	// Insecure allows credentials in clear text to brokers that are not on this machine.
	Insecure bool `yaml:"insecure"`
	// AcceptPartitions is set if the operator accepted that chats move to other partitions, because the events topic now
	// has this many.
	AcceptPartitions int `yaml:"accept_partitions"`
	// TransactionTimeout is how long the open transaction of a dead writer may hold back readers of committed records.
	TransactionTimeout time.Duration `yaml:"transaction_timeout"`
}

// SASL configures how the connector authenticates itself. Files are read again for every new connection.
type SASL struct {
	// Mechanism is plain, scram-sha-256, scram-sha-512 or oauthbearer; empty is none.
	Mechanism    string `yaml:"mechanism"`
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"password_file"`
	// TokenFile holds the token of oauthbearer.
	TokenFile string `yaml:"token_file"`
}

// TLS configures how connections are encrypted. Any of its settings turns it on; Enabled without the others uses the
// system's CA certificates. Files are read again for every new connection.
type TLS struct {
	Enabled    bool   `yaml:"enabled"`
	CAFile     string `yaml:"ca_file"`
	CertFile   string `yaml:"cert_file"`
	KeyFile    string `yaml:"key_file"`
	ServerName string `yaml:"server_name"`
	// Insecure accepts any certificate.
	Insecure bool `yaml:"insecure"`
}

// The mechanisms of SASL.
const (
	saslPlain    = "plain"
	saslScram256 = "scram-sha-256"
	saslScram512 = "scram-sha-512"
	saslOAuth    = "oauthbearer"
)

// Mechanisms returns the values of sasl.mechanism; the empty one is none.
func Mechanisms() []string { return []string{"", saslPlain, saslScram256, saslScram512, saslOAuth} }

// Compressions returns the values of compression.
func Compressions() []string { return []string{"gzip", "zstd", "lz4", "snappy", "none"} }

func (t TLS) on() bool { return t != TLS{} }

// Defaults of the settings that a Config may leave empty.
const (
	DefaultTopic              = "whatsapp.messages"
	DefaultCompression        = "gzip"
	DefaultTransactionTimeout = 20 * time.Second
	DefaultPartitions         = 6

	// maxPartitions catches mistakes that would make a topic too large for a broker.
	maxPartitions         = 10_000
	minTransactionTimeout = 5 * time.Second
	maxTransactionTimeout = 15 * time.Minute // the brokers' default limit
)

// WithDefaults returns the configuration with defaults in place of empty fields.
func (c Config) WithDefaults() Config {
	if c.Topic == "" {
		c.Topic = DefaultTopic
	}
	if c.Compression == "" {
		c.Compression = DefaultCompression
	}
	if c.TransactionTimeout == 0 {
		c.TransactionTimeout = DefaultTransactionTimeout
	}
	return c
}

// retentionMillis is Retention as the setting of a topic.
func (c Config) retentionMillis() int64 {
	if c.Retention <= 0 {
		return -1
	}
	return c.Retention.Milliseconds()
}

// topicName leaves room for the suffixes of the topics beside it (the limit is 249).
var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,230}$`)

// hostName accepts names and addresses without a user or password before them, as an error about a broker shows its
// address.
var hostName = regexp.MustCompile(`^[a-zA-Z0-9._:%-]+$`)

// Address names the brokers to begin with, and the topic.
func (c Config) Address() string {
	c = c.WithDefaults()
	return strings.Join(c.Brokers, ", ") + ", topic " + c.Topic
}

// Validate returns what is wrong with the configuration; each Thing is a key below `sink.kafka`. It does no I/O.
func (c Config) Validate() []connector.Finding {
	c = c.WithDefaults()
	var found []connector.Finding
	refuse := func(key, text, hint string) {
		found = append(found, connector.Finding{
			Level: connector.FindingRefused, Thing: "sink.kafka." + key, Text: text,
			Hint: hint,
		})
	}
	if len(c.Brokers) == 0 {
		refuse("brokers", "no broker is listed", "list at least one as host:port")
	}
	remote := false
	for i, address := range c.Brokers {
		host, port, err := net.SplitHostPort(address)
		if err != nil || !hostName.MatchString(host) || port == "" {
			refuse(fmt.Sprintf("brokers[%d]", i), "it is not a host:port", "write it like kafka.example.com:9092")
			continue
		}
		remote = remote || !loopback(host)
	}
	if !topicName.MatchString(c.Topic) || c.Topic == "." || c.Topic == ".." {
		refuse("topic", "it is not the name of a topic", "use up to 230 letters, digits, dots, dashes and underscores")
	}
	if !slices.Contains(Compressions(), c.Compression) {
		refuse("compression", "it is not known", "choose gzip, zstd, lz4, snappy or none")
	}
	if c.TransactionTimeout < minTransactionTimeout || c.TransactionTimeout > maxTransactionTimeout {
		refuse("transaction_timeout", fmt.Sprintf("%v is out of bounds", c.TransactionTimeout),
			fmt.Sprintf("choose between %v and %v; 20s is a good value", minTransactionTimeout, maxTransactionTimeout))
	}
	if c.AcceptPartitions < 0 {
		refuse("accept_partitions", "it is negative", "remove it, or give the topic's present number of partitions")
	}
	if c.Partitions < 0 || c.Partitions > maxPartitions {
		refuse("partitions", fmt.Sprintf("%d is not a valid number of partitions", c.Partitions),
			fmt.Sprintf("remove it for %d, or give 1 to %d", DefaultPartitions, maxPartitions))
	}
	if c.Replicas < 0 || c.Replicas > math.MaxInt16 {
		refuse("replicas", fmt.Sprintf("%d is not a valid number of replicas", c.Replicas),
			"remove it for three, or for as many as the cluster is set up for")
	}
	if c.Retention != 0 && c.Retention < time.Minute {
		refuse("retention", fmt.Sprintf("%v is too short", c.Retention),
			"remove it to keep events for ever, or give hours, like 168h")
	}
	c.SASL.validate(refuse)
	if c.SASL.Mechanism != "" && !c.TLS.on() && remote && !c.Insecure {
		refuse("sasl", "credentials would go over the network in clear text",
			"set `sink.kafka.tls.enabled: true`, or accept it with `sink.kafka.insecure: true`")
	}
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		refuse("tls", "cert_file and key_file belong together", "set both or none")
	}
	if c.TLS.Insecure && !c.Insecure {
		refuse("tls.insecure", "any server could pose as the broker",
			"name the authority with `sink.kafka.tls.ca_file`, or accept it with `sink.kafka.insecure: true`")
	}
	return found
}

func (s SASL) validate(refuse func(key, text, hint string)) {
	switch s.Mechanism {
	case "":
		if s.Username != "" || s.PasswordFile != "" || s.TokenFile != "" {
			refuse("sasl.mechanism", "it is missing, but other sasl settings are there",
				"choose plain, scram-sha-256, scram-sha-512 or oauthbearer")
		}
	case saslPlain, saslScram256, saslScram512:
		if s.Username == "" {
			refuse("sasl.username", "it is missing", "name the user")
		}
		if s.PasswordFile == "" {
			refuse("sasl.password_file", "it is missing", "name the file that holds the password")
		}
	case saslOAuth:
		if s.TokenFile == "" {
			refuse("sasl.token_file", "it is missing", "name the file that holds the token")
		}
	default:
		refuse("sasl.mechanism", "it is not known", "choose plain, scram-sha-256, scram-sha-512 or oauthbearer")
	}
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
