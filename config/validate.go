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

// minSeen is two slices of 50 pages of 100 messages: less memory makes duplicates.
const minSeen = 2 * 50 * 100

// maxStreams keeps a mistake from using up an account; one process is made for a thousand streams.
const maxStreams = 10000

// A page has to hold its largest item, and what is read at once has to fit into memory.
const (
	minPageBytes = 1 << 20
	maxPageBytes = 64 << 20
)

// maxConcurrency is where more requests in flight only meet the account's limit.
const maxConcurrency = 64

var (
	nameForm   = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	prefixForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)
)

// Validate checks the configuration against every rule again, for one that was changed after Load. The error is
// Problems.
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

// validate calls wrong with the path of each key whose value cannot be, and what was expected there.
func (c *Config) validate(wrong func(path, text string)) {
	c.TwoChat.validate(c.apiKey != "", wrong)
	c.validateStreams(wrong)
	c.Poll.validate(wrong)
	if c.Seen.Capacity < minSeen {
		wrong("seen.capacity", fmt.Sprintf("expected %d or more: a smaller memory delivers messages twice", minSeen))
	}
	c.Events.validate(wrong)
	c.validateSink(wrong)
	c.Privacy.validate(wrong)
	c.Admin.validate(wrong)
	oneOf(c.Log.Level, "log.level", wrong)
	oneOf(c.Log.Format, "log.format", wrong)
}

func validPort(port string) bool {
	_, err := strconv.ParseUint(port, 10, 16)
	return err == nil
}

func (t *TwoChat) validate(keyGiven bool, wrong func(path, text string)) {
	if text := wrongBaseURL(t.BaseURL); text != "" {
		wrong("twochat.base_url", text)
	}
	if !keyGiven && !t.APIKeyFile.Set() {
		wrong("twochat.api_key_file", "expected a file with the API key, or the key in the environment "+APIKeyVariable)
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
		return "expected https; http is for loopback only, as the API key would travel in clear"
	case strings.HasSuffix(strings.TrimRight(u.Path, "/"), "/open"):
		return "expected the URL without /open at its end; the connector adds it"
	}
	return ""
}

func loopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

func (c *Config) validateStreams(wrong func(path, text string)) {
	streams := c.TwoChat.Streams
	switch {
	case len(streams) == 0:
		wrong("twochat.streams", "expected at least one stream, such as - number: \"+595981048477\"")
	case len(streams) > maxStreams:
		wrong("twochat.streams", fmt.Sprintf("expected at most %d streams", maxStreams))
		return
	}
	names, lists, numbers := map[string]int{}, map[[2]Number]int{}, map[Number][2]int{}
	for i, s := range streams {
		path := fmt.Sprintf("twochat.streams[%d]", i)
		if !s.Number.valid() {
			wrong(path+".number", `expected a number such as "+595981048477": a plus sign and 6 to 15 digits`)
			continue
		}
		if s.Remote != "" && !s.Remote.valid() {
			wrong(path+".remote", `expected a number such as "+595981111111": a plus sign and 6 to 15 digits`)
		}
		c.validateName(s, path+".name", wrong)
		if first, taken := names[s.name()]; taken {
			wrong(path+".name", fmt.Sprintf("expected a name of its own; twochat.streams[%d] has the same", first))
		} else {
			names[s.name()] = i
		}

		// numbers holds, of each number, one more than the place of its whole list and of its first list with a remote.
		list, known := [2]Number{s.Number, s.Remote}, numbers[s.Number]
		first, twice := lists[list]
		switch {
		case twice:
			wrong(path, fmt.Sprintf("expected another list; twochat.streams[%d] reads the same one", first))
		case s.Remote != "" && known[0] > 0:
			wrong(path, overlap(known[0]-1))
		case s.Remote == "" && known[1] > 0:
			wrong(path, overlap(known[1]-1))
		}
		if !twice {
			lists[list] = i
		}
		kind := 0
		if s.Remote != "" {
			kind = 1
		}
		if known[kind] == 0 {
			known[kind] = i + 1
			numbers[s.Number] = known
		}
	}
	for name, i := range names {
		if live, ok := strings.CutSuffix(name, historySuffix); ok {
			if _, taken := names[live]; taken {
				wrong(fmt.Sprintf("twochat.streams[%d].name", i),
					"expected another name; backfill writes the history of another stream under this one")
			}
		}
	}
}

// historySuffix makes the name of a stream's backfill.
const historySuffix = "-history"

func overlap(other int) string {
	return fmt.Sprintf("the stream overlaps twochat.streams[%d]: a number, and the same number with a remote, list "+
		"the same messages", other)
}

func (c *Config) validateName(s StreamConfig, path string, wrong func(path, text string)) {
	pseudonymous := c.Privacy.Identifiers == Pseudonymous
	switch {
	case s.Name == "" && s.Remote != "":
		wrong(path, "expected a name, as the stream has a remote")
	case s.Name == "" && pseudonymous:
		wrong(path, "expected a name, as privacy.identifiers is pseudonymous")
	case s.Name == "":
	case !nameForm.MatchString(s.Name) || strings.Trim(s.Name, ".") == "":
		wrong(path, "expected 1 to 64 letters, digits, dots, underscores or hyphens")
	case s.Remote.valid() && strings.Contains(s.Name, s.Remote.digits()):
		wrong(path, "expected a name without the remote number: it stands in logs and metrics")
	case pseudonymous && strings.Contains(s.Name, s.Number.digits()):
		wrong(path, "expected a name without the number, as privacy.identifiers is pseudonymous")
	}
}

func (p *Poll) validate(wrong func(path, text string)) {
	if p.MinInterval < time.Second {
		wrong("poll.min_interval", "expected 1s or more")
	}
	if p.MaxInterval < p.MinInterval {
		wrong("poll.max_interval", "expected poll.min_interval or more")
	}
	if p.MaxInterval > 24*time.Hour {
		wrong("poll.max_interval", "expected 24h or less")
	}
	if p.Concurrency < 1 || p.Concurrency > maxConcurrency {
		wrong("poll.concurrency", fmt.Sprintf("expected 1 to %d", maxConcurrency))
	}
	if p.Timeout < time.Second || p.Timeout > 5*time.Minute {
		wrong("poll.timeout", "expected 1s to 5m")
	}
	if p.MaxPageBytes < minPageBytes || p.MaxPageBytes > maxPageBytes {
		wrong("poll.max_page_bytes", fmt.Sprintf("expected %d (1 MiB) to %d (64 MiB)", minPageBytes, maxPageBytes))
	}
	if p.RequestsPerMinute < 0 {
		wrong("poll.requests_per_minute", "expected a whole number from 0")
	}
	if p.MonthlyCredits < 0 {
		wrong("poll.monthly_credits", "expected a whole number from 0")
	}
	oneOf(p.WhenSpent, "poll.when_spent", wrong)
	if p.Sweep.Every != 0 && p.Sweep.Every < time.Minute {
		wrong("poll.sweep.every", "expected 1m or more, or 0 for never")
	}
	if p.Sweep.Every > 0 && p.Sweep.Depth <= 0 {
		wrong("poll.sweep.depth", "expected more than 0; poll.sweep.every: 0 turns sweeps off")
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

func (p *Privacy) validate(wrong func(path, text string)) {
	oneOf(p.Identifiers, "privacy.identifiers", wrong)
	switch {
	case p.Identifiers == Pseudonymous && !p.KeyFile.Set():
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

// validateSink passes on what the sink's own package refuses. A finding's thing is the path of a key, with or without
// the sink's section before it, or else a word of its own.
func (c *Config) validateSink(wrong func(path, text string)) {
	switch chosen := c.Sink.Chosen(); len(chosen) {
	case 0:
		wrong("sink", "expected exactly one of "+strings.Join(sinks.Names(), ", ")+"; found none")
		return
	case 1:
	default:
		for _, name := range chosen[1:] {
			wrong("sink."+name, "expected exactly one sink; sink."+chosen[0]+" is there as well")
		}
	}
	for _, finding := range c.Sink.Validate() {
		if finding.Level == connector.FindingRefused {
			wrong(c.sinkPath(finding.Thing), sinkText(finding))
		}
	}
}
