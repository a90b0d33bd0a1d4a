package config

import (
	"slices"
	"strings"
	"testing"
)

// Exactly the changes that a running instance cannot apply are named.
func TestNeedsRestart(t *testing.T) {
	load := func(text string) *Config {
		t.Helper()
		c, err := FromFlags(Flags{Config: write(t, text), Keyless: true}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, c := range []struct{ from, old, new, want string }{
		{small, "", "", ""},
		{small, "streams: [", "streams: [{ number: \"+595981048499\", name: more }, ", ""},
		{small, "/etc/twochat/api-key", "/etc/twochat/other", ""},
		{small, "sink:", "log: { level: debug }\nstart: beginning\npoll: { min_interval: 2s, max_interval: 3s, " +
			"requests_per_minute: 7, monthly_credits: 9, when_spent: stop, sweep: { every: 2h } }\nsink:", ""},
		{
			small, "sink:", "poll: { timeout: 2s, concurrency: 2 }\nseen: { capacity: 30000 }\nsink:",
			"poll.concurrency poll.timeout seen.capacity",
		},
		{small, "events.jsonl", "other.jsonl", "sink.file.path"},
		{
			small, "file: { path: events.jsonl }", "embedded: {}",
			"sink.embedded.dir sink.embedded.listen sink.embedded.max_age sink.embedded.max_bytes sink.file.keep " +
				"sink.file.max_bytes sink.file.mode sink.file.path",
		},
		{
			small, "sink:", "log: { format: text }\nadmin: { listen: ':8081' }\nevents: { mode: binary }\nsink:",
			"admin.listen events.mode log.format",
		},
		{small, "api_key_file", "base_url: https://other.example\n  api_key_file", "twochat.base_url"},
		{twoAccounts, "", "", ""},
		{twoAccounts, "/etc/twochat/shop", "/etc/twochat/other", ""},
		{
			twoAccounts, "  - name: bank-de",
			"  - { name: new, streams: [{ number: \"+595981048499\" }] }\n  - name: bank-de", "",
		},
		{twoAccounts, "min_interval: 30s,", "min_interval: 40s, timeout: 9s,", "accounts[1].poll.timeout"},
		{twoAccounts, "https://eu.2chat.example", "https://us.2chat.example", "accounts[1].base_url"},
		{
			twoAccounts, "min_interval: 5s,", "min_interval: 6s, max_page_bytes: 2097152,",
			"poll.max_page_bytes accounts[0].poll.max_page_bytes accounts[1].poll.max_page_bytes",
		},
		{twoAccounts, twoAccounts, small, "accounts"},
	} {
		got := NeedsRestart(load(strings.Replace(c.from, c.old, c.new, 1)), load(c.from))
		want := strings.Fields(c.want)
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", c.new, got, want)
		}
	}
}
