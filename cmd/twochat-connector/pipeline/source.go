package pipeline

import (
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
)

// PrivacyOf is what the configuration says about identifiers and dropped parts. It reads the key of pseudonyms.
func PrivacyOf(c *config.Config) (twochat.Privacy, error) {
	privacy := twochat.Privacy{Identifiers: twochat.Identifiers(c.Privacy.Identifiers), Drop: c.Privacy.Drop}
	if c.Privacy.KeyFile.Set() {
		key, err := c.Privacy.KeyFile.Read()
		if err != nil {
			return privacy, cli.UsageOf(cli.Hinted(fmt.Errorf("%s: %s", c.PseudonymKey(),
				strings.TrimPrefix(err.Error(), "read secret: ")), "put a key of at least 16 random bytes into a file that "+
				"this user may read, and the file's path into "+c.PseudonymKey()))
		}
		privacy.Secret = []byte(key)
	}
	if err := privacy.Validate(); err != nil {
		return privacy, cli.UsageOf(cli.Hinted(err,
			"check privacy.identifiers, privacy.drop and "+c.PseudonymKey()+"; a key is 16 random bytes or more"))
	}
	return privacy, nil
}

// NewClient makes the client of the API that a configuration names.
func NewClient(c *config.Config, privacy twochat.Privacy) (*twochat.Client, error) {
	return newClient(c, privacy, c.APIKey)
}

func newClient(c *config.Config, privacy twochat.Privacy, key func() (string, error)) (*twochat.Client, error) {
	client, err := twochat.New(twochat.Config{
		BaseURL: c.TwoChat.BaseURL, Key: key, Timeout: c.Poll.Timeout, MaxPageBytes: c.Poll.MaxPageBytes,
		Version: cli.Version(), Privacy: privacy, Rows: c.Events.Data == config.DataRow,
		ExactText: c.Events.Text == config.TextExact,
	})
	if err != nil {
		return nil, cli.UsageOf(err)
	}
	return client, nil
}

// UnknownMembers is the metric of members of items that are not known.
func UnknownMembers(count func() uint64) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Namespace: "twochat_connector", Name: "unknown_members_total",
		Help: "Members of messages that are not known and are treated as text, if privacy uses pseudonyms or drops something.",
	}, func() float64 { return float64(count()) })
}
