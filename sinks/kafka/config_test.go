package kafka

import (
	"slices"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/twochat-connector/twochat-connector/connector"
)

func TestValidate(t *testing.T) {
	local := []string{"127.0.0.1:9092"}
	far := []string{"localhost:9092", "kafka.example.com:9092"}
	password := SASL{Mechanism: "scram-sha-512", Username: "connector", PasswordFile: "/secret"}
	cases := map[string]struct {
		config Config
		things []string
	}{
		"the least": {Config{Brokers: local}, nil},
		"no broker": {Config{}, []string{"brokers"}},
		"no port": {
			Config{Brokers: []string{"127.0.0.1", ":9092", "::1:9092"}},
			[]string{"brokers[0]", "brokers[1]", "brokers[2]"},
		},
		"topic with a blank": {Config{Brokers: local, Topic: "whatsapp messages"}, []string{"topic"}},
		"topic of a dot":     {Config{Brokers: local, Topic: "."}, []string{"topic"}},
		"compression":        {Config{Brokers: local, Compression: "brotli"}, []string{"compression"}},
		"transaction too short": {
			Config{Brokers: local, TransactionTimeout: time.Second},
			[]string{"transaction_timeout"},
		},
		"transaction too long":     {Config{Brokers: local, TransactionTimeout: time.Hour}, []string{"transaction_timeout"}},
		"partitions":               {Config{Brokers: local, AcceptPartitions: -1}, []string{"accept_partitions"}},
		"no partitions":            {Config{Brokers: local, Partitions: -1}, []string{"partitions"}},
		"many partitions":          {Config{Brokers: local, Partitions: 10_001}, []string{"partitions"}},
		"partitions and replicas":  {Config{Brokers: local, Partitions: 10_000, Replicas: 5}, nil},
		"sasl on loopback":         {Config{Brokers: local, SASL: password}, nil},
		"sasl in clear":            {Config{Brokers: far, SASL: password}, []string{"sasl"}},
		"sasl in clear, accepted":  {Config{Brokers: far, SASL: password, Insecure: true}, nil},
		"sasl over tls":            {Config{Brokers: far, SASL: password, TLS: TLS{Enabled: true}}, nil},
		"sasl over tls with a ca":  {Config{Brokers: far, SASL: password, TLS: TLS{CAFile: "/ca"}}, nil},
		"sasl without a mechanism": {Config{Brokers: local, SASL: SASL{Username: "connector"}}, []string{"sasl.mechanism"}},
		"unknown mechanism":        {Config{Brokers: local, SASL: SASL{Mechanism: "gssapi"}}, []string{"sasl.mechanism"}},
		"plain without secrets": {
			Config{Brokers: local, SASL: SASL{Mechanism: "plain"}},
			[]string{"sasl.username", "sasl.password_file"},
		},
		"oauthbearer, no token": {
			Config{Brokers: local, SASL: SASL{Mechanism: "oauthbearer"}},
			[]string{"sasl.token_file"},
		},
		"certificate without key":  {Config{Brokers: far, TLS: TLS{CertFile: "/cert"}}, []string{"tls"}},
		"any certificate":          {Config{Brokers: far, TLS: TLS{Insecure: true}}, []string{"tls.insecure"}},
		"any certificate, at will": {Config{Brokers: far, TLS: TLS{Insecure: true}, Insecure: true}, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var things []string
			for _, f := range c.config.Validate() {
				if f.Level != connector.FindingRefused || f.Text == "" || f.Hint == "" {
					t.Errorf("%+v", f)
				}
				things = append(things, f.Thing[len("sink.kafka."):])
			}
			if !slices.Equal(things, c.things) {
				t.Errorf("got %v, want %v", things, c.things)
			}
			_, err := Open(c.config, connector.Encoding{}, quiet)
			if (err == nil) != (len(c.things) == 0) {
				t.Errorf("Open: %v", err)
			}
		})
	}
}

func TestConfigKeys(t *testing.T) {
	text := `{brokers: ["b:1"], topic: t, create: true, compression: lz4, insecure: true, accept_partitions: 9, transaction_timeout: 30s,
  sasl: {mechanism: plain, username: u, password_file: p, token_file: k},
  tls: {enabled: true, ca_file: a, cert_file: c, key_file: k, server_name: s, insecure: true}}`
	want := Config{
		Brokers: []string{"b:1"}, Topic: "t", Create: true, Compression: "lz4", Insecure: true, AcceptPartitions: 9,
		TransactionTimeout: 30 * time.Second,
		SASL:               SASL{"plain", "u", "p", "k"}, TLS: TLS{true, "a", "c", "k", "s", true},
	}
	var got Config
	if err := yaml.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if got.Brokers[0] != want.Brokers[0] {
		t.Error(got.Brokers)
	}
	got.Brokers, want.Brokers = nil, nil
	if got.SASL != want.SASL || got.TLS != want.TLS || got.Topic != want.Topic ||
		got.TransactionTimeout != want.TransactionTimeout || got.AcceptPartitions != 9 ||
		!got.Create || !got.Insecure || got.Compression != "lz4" {
		t.Errorf("got %+v", got)
	}
}
