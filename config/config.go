// Package config reads the configuration: one YAML file, overridden by the environment, which is overridden by flags.
//
// Every key is a struct field here or in a sink's package; no others are accepted. A problem names its place (file and
// line, environment variable or flag), the key's dotted path and what was expected. It never quotes a value: what was
// written in the wrong place may be a secret or a phone number.
package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// Config is the whole configuration. It is safe to print in any way: keys and numbers are redacted.
type Config struct {
	TwoChat  TwoChat      `yaml:"twochat"`
	Accounts []Account    `yaml:"accounts" doc:"several accounts, instead of twochat; each has its own rate limit and budget"`
	Start    Start        `yaml:"start" doc:"what a stream's first start delivers: now, an age, beginning, or an RFC 3339 time"`
	Poll     Poll         `yaml:"poll"`
	Seen     Seen         `yaml:"seen"`
	Events   Events       `yaml:"events"`
	Sink     sinks.Config `yaml:"sink"`
	Privacy  Privacy      `yaml:"privacy"`
	Admin    Admin        `yaml:"admin"`
	Traces   Traces       `yaml:"traces"`
	Log      Log          `yaml:"log"`

	apiKey  string            // TWOCHAT_API_KEY, which is not a key of the file
	apiKeys map[string]string // of accounts, by name
	keyless bool              // no key is required

	accountScope
}

// TwoChat configures which message lists are read, and with which key.
type TwoChat struct {
	BaseURL    string         `yaml:"base_url" doc:"the API without its path /open; https, or http on loopback"`
	APIKeyFile FileSecret     `yaml:"api_key_file" doc:"file with the API key, re-read when it changes; the environment variable TWOCHAT_API_KEY takes precedence"`
	Streams    []StreamConfig `yaml:"streams" short:"number" doc:"the message lists to read"`
}

// StreamConfig is one message list.
type StreamConfig struct {
	Number Number `yaml:"number" doc:"the connected number, with +, in quotes"`
	Remote Number `yaml:"remote" doc:"only the messages with this number; needs a name"`
	Name   string `yaml:"name" doc:"the stream's permanent name in events, subjects, metrics and logs; if empty, the number's digits"`
}

// Poll configures how often and how fast the API is read.
type Poll struct {
	MinInterval       time.Duration `yaml:"min_interval" doc:"time between polls of a stream while messages come in"`
	MaxInterval       time.Duration `yaml:"max_interval" doc:"time between polls of a quiet stream"`
	RequestsPerMinute int           `yaml:"requests_per_minute" doc:"limit for all streams together; 0 = the account's own limit, or 10 if it is not known"`
	MonthlyCredits    int           `yaml:"monthly_credits" doc:"the account's monthly usage at which polling slows down; 0 = half of the plan"`
	WhenSpent         WhenSpent     `yaml:"when_spent" doc:"what happens when the month's budget is used up: slow (polling ten times slower, a backlog at full rate) or stop (no call until the account's next month begins)"`
	Concurrency       int           `yaml:"concurrency" doc:"maximum of requests in flight, 1 to 64"`
	Timeout           time.Duration `yaml:"timeout" doc:"time limit of one request"`
	MaxPageBytes      int           `yaml:"max_page_bytes" doc:"maximum size of an answer, decompressed; 1048576 (1 MiB) to 67108864 (64 MiB)"`
	Sweep             Sweep         `yaml:"sweep"`
}

// WhenSpent is what happens to polling when the month's budget is used up.
type WhenSpent string

// The values of WhenSpent.
const (
	SpentSlow WhenSpent = "slow"
	SpentStop WhenSpent = "stop"
)

// Sweep is the search for messages that were listed late, far below the top.
type Sweep struct {
	Every time.Duration `yaml:"every" doc:"how often late messages are searched for; 0 = never"`
	Depth time.Duration `yaml:"depth" doc:"how far back that search goes"`
}

// Seen limits the memory of what was delivered.
type Seen struct {
	Capacity int `yaml:"capacity" doc:"maximum of messages remembered for each stream; 10000 or more"`
}

// Events configures the form of events.
type Events struct {
	Mode       connector.Mode `yaml:"mode" doc:"CloudEvents content mode: structured or binary"`
	Headers    bool           `yaml:"headers" doc:"all attributes as ce_ headers also in structured mode (Kafka), for consumers that filter by them"`
	Data       EventData      `yaml:"data" doc:"the data of an event: item (2Chat's item unchanged) or row (a flat object of strings that are always present, for tables)"`
	Text       EventText      `yaml:"text" doc:"repaired: U+FFFD replaces \\u0000 and unpaired surrogates, which most readers refuse, and the attribute repaired is set; exact: unchanged"`
	TypePrefix string         `yaml:"type_prefix" doc:"prefix of every event's type"`
	DataSchema string         `yaml:"dataschema" doc:"URI for the attribute dataschema; empty = no such attribute"`
}

// EventData is the kind of data that an event has.
type EventData string

// The values of EventData.
const (
	DataItem EventData = "item"
	DataRow  EventData = "row"
)

// EventText is how escapes in an item that stand for no character are handled.
type EventText string

// The values of EventText.
const (
	TextRepaired EventText = "repaired"
	TextExact    EventText = "exact"
)

// Privacy configures what routing data and events reveal about people.
type Privacy struct {
	Identifiers Identifiers `yaml:"identifiers" doc:"how chats appear in subjects and keys: hashed, clear or pseudonymous"`
	KeyFile     FileSecret  `yaml:"key_file" doc:"file with the key for pseudonymous"`
	Drop        []string    `yaml:"drop" doc:"what is removed from messages, wherever it occurs: text, media, quoted, names"`
}

// Identifiers is how chats are written in routing data.
type Identifiers string

// The values of Identifiers.
const (
	Hashed       Identifiers = "hashed"
	Clear        Identifiers = "clear"
	Pseudonymous Identifiers = "pseudonymous"
)

// Log configures the program's log.
type Log struct {
	Level  string `yaml:"level" doc:"debug, info, warn or error"`
	Format string `yaml:"format" doc:"auto (text on a terminal, json elsewhere), text or json"`
}

// Default is the configuration before anything is read: complete except for the key, the streams and the sink.
func Default() Config {
	return Config{
		TwoChat: TwoChat{BaseURL: "https://api.p.2chat.io"},
		Start:   Start{Mode: StartNow},
		Poll: Poll{
			MinInterval: 10 * time.Second, MaxInterval: 60 * time.Second, WhenSpent: SpentSlow, Concurrency: 4,
			Timeout: 15 * time.Second, MaxPageBytes: 8 << 20,
			Sweep: Sweep{Every: time.Hour, Depth: 60 * time.Hour},
		},
		Seen:    Seen{Capacity: 20000},
		Events:  Events{Mode: connector.ModeStructured, Data: DataItem, Text: TextRepaired, TypePrefix: "co.2chat.whatsapp"},
		Privacy: Privacy{Identifiers: Hashed},
		Admin:   Admin{Listen: "127.0.0.1:8080"},
		Log:     Log{Level: "info", Format: "auto"},
	}
}

// APIKey reads the API key: TWOCHAT_API_KEY, else the present content of api_key_file. It is safe for concurrent use.
func (c *Config) APIKey() (string, error) {
	if c.apiKey != "" {
		return c.apiKey, nil
	}
	if !c.TwoChat.APIKeyFile.Set() {
		return "", errors.New("no API key: set " + c.AccountKey("api_key_file") + " or the environment variable " +
			c.KeyVariable())
	}
	key, err := c.TwoChat.APIKeyFile.Line()
	if err != nil {
		return "", err
	}
	if flaw := keyFlaw(key); flaw != "" {
		return "", fmt.Errorf("read secret: %s %s", c.TwoChat.APIKeyFile, flaw)
	}
	return key, nil
}

// keyFlaw explains why a text cannot be an API key, or is "" if it can. The text continues a sentence that begins with
// the name of the key's source.
func keyFlaw(key string) string {
	switch first := key[0]; {
	case !headerSafe(key):
		return "contains blanks or unprintable characters, which an API key cannot have: write only the key, without a word " +
			"such as Bearer before it"
	case (first == '"' || first == '\'' || first == '`') && key[len(key)-1] == first:
		return "contains the key in quotes, which are not part of it"
	}
	return ""
}

// headerSafe reports whether a key can go into an HTTP header as it is.
func headerSafe(key string) bool {
	return !strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' })
}

// Streams lists the configured streams of all accounts, named and with their source keys.
func (c *Config) Streams() []connector.Stream {
	var list []connector.Stream
	for _, one := range c.ByAccount() {
		for _, s := range one.TwoChat.Streams {
			number, remote := string(s.Number), string(s.Remote)
			list = append(list, connector.Stream{
				Name: s.name(), Number: number, Remote: remote,
				SourceKey: connector.SourceKey(one.TwoChat.BaseURL, number, remote),
			})
		}
	}
	return list
}

// EventSettings is what the streams need to make events.
func (c *Config) EventSettings() connector.EventSettings {
	return connector.EventSettings{TypePrefix: c.Events.TypePrefix, DataSchema: c.Events.DataSchema}
}

// Encoding is what the sink needs to write events.
func (c *Config) Encoding() connector.Encoding {
	return connector.Encoding{Mode: c.Events.Mode, Headers: c.Events.Headers, TypePrefix: c.Events.TypePrefix}
}

func (s StreamConfig) name() string {
	if s.Name != "" {
		return s.Name
	}
	return s.Number.digits()
}
