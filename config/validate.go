package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// minSeen is two slices of 50 pages of 100 messages. A smaller memory would cause duplicates.
const minSeen = 2 * 50 * 100

// A page has to hold its largest item, and what is read at once has to fit into memory.
const (
	minPageBytes = 1 << 20
	maxPageBytes = 64 << 20
)

// maxConcurrency is the number above which more requests in flight only hit the account's limit.
const maxConcurrency = 64

var prefixForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)

// Validate checks all rules again, for a configuration that was changed after Load. The error is Problems.
func (c *Config) Validate() error {
	var problems Problems
	c.validate(func(path, text string) {
		problems = append(problems, Problem{Origin{Name: "configuration", rank: nowhere}, path, text})
	})
	if len(problems) == 0 {
		return nil
	}
	problems.sort()
	return problems
}

// validate calls wrong with the path of each key that has an invalid value, and with what was expected.
func (c *Config) validate(wrong func(path, text string)) {
	if len(c.Accounts) > 0 {
		validateAccounts(c, wrong)
	}
	validateSections(c, wrong)
	c.validateStreams(wrong)
	if c.Seen.Capacity < minSeen {
		wrong("seen.capacity", fmt.Sprintf("expected %d or more: a smaller memory delivers messages twice", minSeen))
	}
	c.Events.validate(wrong)
	c.validateSink(wrong)
	c.Privacy.validate(len(c.Accounts) > 0, wrong)
	c.Admin.validate(wrong)
	c.Traces.validate(wrong)
	oneOf(c.Log.Level, "log.level", wrong)
	oneOf(c.Log.Format, "log.format", wrong)
}

func validPort(port string) bool {
	_, err := strconv.ParseUint(port, 10, 16)
	return err == nil
}

// validate checks the section of the account whose configuration is given.
func (t *TwoChat) validate(of *Config, wrong func(path, text string)) {
	if text := wrongBaseURL(t.BaseURL); text != "" {
		wrong(of.AccountKey("base_url"), text)
	}
	if of.apiKey == "" && !t.APIKeyFile.Set() && !of.keyless {
		wrong(of.AccountKey("api_key_file"),
			"expected a file with the API key, or the key in the environment variable "+of.KeyVariable())
	}
}

func wrongBaseURL(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Port() != "" && !validPort(u.Port()):
		return "expected a URL such as https://api.p.2chat.io"
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "expected a URL without credentials, query and fragment"
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return "expected https; http is only for loopback, as the API key would be sent in clear text"
	case strings.HasSuffix(strings.TrimRight(u.Path, "/"), "/open"):
		return "expected the URL without /open at its end; the connector adds it"
	}
	return ""
}

func loopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// validate checks the keys of a section, whose dotted path is given.
func (p *Poll) validate(section string, wrong func(path, text string)) {
	if p.MinInterval < time.Second {
		wrong(section+".min_interval", "expected 1s or more")
	}
	if p.MaxInterval < p.MinInterval {
		wrong(section+".max_interval", "expected "+section+".min_interval or more")
	}
	if p.MaxInterval > 24*time.Hour {
		wrong(section+".max_interval", "expected 24h or less")
	}
	if p.Concurrency < 1 || p.Concurrency > maxConcurrency {
		wrong(section+".concurrency", fmt.Sprintf("expected 1 to %d", maxConcurrency))
	}
	if p.Timeout < time.Second || p.Timeout > 5*time.Minute {
		wrong(section+".timeout", "expected 1s to 5m")
	}
	if p.MaxPageBytes < minPageBytes || p.MaxPageBytes > maxPageBytes {
		wrong(section+".max_page_bytes", fmt.Sprintf("expected %d (1 MiB) to %d (64 MiB)", minPageBytes, maxPageBytes))
	}
	if p.RequestsPerMinute < 0 {
		wrong(section+".requests_per_minute", "expected a whole number from 0")
	}
	if p.MonthlyCredits < 0 {
		wrong(section+".monthly_credits", "expected a whole number from 0")
	}
	oneOf(p.WhenSpent, section+".when_spent", wrong)
	if p.Sweep.Every != 0 && p.Sweep.Every < time.Minute {
		wrong(section+".sweep.every", "expected 1m or more, or 0 for never")
	}
	if p.Sweep.Every > 0 && p.Sweep.Depth <= 0 {
		wrong(section+".sweep.depth", "expected more than 0; "+section+".sweep.every: 0 turns sweeps off")
	}
}

func (e *Events) validate(wrong func(path, text string)) {
	oneOf(e.Mode, "events.mode", wrong)
	oneOf(e.Data, "events.data", wrong)
	oneOf(e.Text, "events.text", wrong)
	if len(e.TypePrefix) > 128 || !prefixForm.MatchString(e.TypePrefix) {
		wrong("events.type_prefix", "expected a reversed domain name such as co.2chat.whatsapp")
	}
	if e.DataSchema != "" {
		if u, err := url.Parse(e.DataSchema); err != nil || !u.IsAbs() || u.User != nil || !headerSafe(e.DataSchema) {
			wrong("events.dataschema", "expected an absolute URI, or nothing")
		}
	}
}

// validate checks the section. Accounts may have keys of their own; an account without a key is reported elsewhere.
func (p *Privacy) validate(accounts bool, wrong func(path, text string)) {
	oneOf(p.Identifiers, "privacy.identifiers", wrong)
	switch {
	case p.Identifiers == Pseudonymous && !p.KeyFile.Set() && !accounts:
		wrong("privacy.key_file", "expected a file with a key, as privacy.identifiers is pseudonymous")
	case p.Identifiers != Pseudonymous && p.KeyFile.Set():
		wrong("privacy.key_file", "expected no key, as privacy.identifiers is not pseudonymous")
	}
	for i, part := range p.Drop {
		path := fmt.Sprintf("privacy.drop[%d]", i)
		oneOf(part, path, wrong)
		if slices.Contains(p.Drop[:i], part) {
			wrong(path, "expected each part once")
		}
	}
}

// validateSink reports what the sink's own package refuses. A finding's thing is the path of a key, with or without the
// sink's section before it, or another word.
func (c *Config) validateSink(wrong func(path, text string)) {
	switch chosen := c.Sink.Chosen(); len(chosen) {
	case 0:
		wrong("sink", "expected exactly one of "+strings.Join(sinks.Names(), ", ")+"; found none")
		return
	case 1:
	default:
		for _, name := range chosen[1:] {
			wrong("sink."+name, "expected exactly one sink; sink."+chosen[0]+" is there too")
		}
	}
	for _, finding := range c.Sink.Validate() {
		if finding.Level == connector.FindingRefused {
			wrong(c.sinkPath(finding.Thing), sinkText(finding))
		}
	}
}
