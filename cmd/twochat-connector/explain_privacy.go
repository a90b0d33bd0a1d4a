package main

import (
	"slices"
	"strings"

	"github.com/twochat-connector/twochat-connector/config"
)

// privacyText describes who gets to see what.
func privacyText(c *config.Config) []string {
	pseudonymous := c.Privacy.Identifiers == config.Pseudonymous
	lines := []string{
		"2Chat (" + baseURLs(c) + ") gets the API key and the numbers to read, in requests for lists; " +
			"nothing else is sent, and nothing is changed there.",
		"The sink gets the events. " + dataText(c),
	}
	lines = append(lines, whoFinds(c)...)
	quarantine := "The quarantine, in the sink too, holds up to 64 KiB of a broken message, unchanged."
	if pseudonymous || len(c.Privacy.Drop) > 0 {
		quarantine = "The quarantine, in the sink too, holds the reason, the length and a hash of a " +
			"broken message, and none of its bytes."
	}
	name := " A stream's name is its connected number, unless `name:` gives it another."
	if pseudonymous {
		name = ""
	}
	return append(lines, quarantine,
		"Logs, metrics, /status and errors name streams, but never a customer's number, chat, text or media, nor a "+
			"key; what libraries print is not shown."+name,
		"Nobody else gets anything: there is no telemetry.")
}

// baseURLs are those of all accounts, each once.
func baseURLs(c *config.Config) string {
	var list []string
	for _, one := range c.ByAccount() {
		if !slices.Contains(list, one.TwoChat.BaseURL) {
			list = append(list, one.TwoChat.BaseURL)
		}
	}
	return strings.Join(list, ", ")
}

// dataText describes what an event's data has of a message.
func dataText(c *config.Config) string {
	text := "Events carry each message whole, as the API returns it: texts, numbers, media URLs, contacts' names"
	if c.Privacy.Identifiers == config.Pseudonymous {
		text = "Every string and number of a message is examined: phone numbers in any spelling become " +
			"tokens, the same token wherever the number occurs; " +
			"so do people's names; texts keep their words, and with them whatever people wrote about themselves; " +
			"media URLs stay"
	}
	if c.Events.Data == config.DataRow {
		text += "; a row shows parts of that, and nothing else"
	}
	if len(c.Privacy.Drop) == 0 {
		return text + "."
	}
	what := map[string]string{
		"text":   "what was written, said or ordered, places, and every member that is not known to be harmless",
		"media":  "files and their URLs",
		"quoted": "quoted messages", "names": "people's names",
	}
	parts := make([]string, len(c.Privacy.Drop))
	for i, drop := range c.Privacy.Drop {
		parts[i] = drop + " (" + what[drop] + ")"
	}
	left := ""
	if !slices.Contains(c.Privacy.Drop, "text") {
		left = " A member that is not known is treated as text, and stays."
	}
	return text + "; removed wherever it occurs: " + strings.Join(parts, ", ") + " (privacy.drop)." + left
}

// whoFinds describes, with figures, who can recover whose number from what is written. The speed was measured with
// BenchmarkGuess of connector/twochat, on one core of a server processor of 2024.
func whoFinds(c *config.Config) []string {
	switch c.Privacy.Identifiers {
	case config.Clear:
		return []string{"Routing data (subjects, keys, attributes) names a chat by its number or session in " +
			"clear: whoever reads a subject or key has the number (privacy.identifiers: clear)."}
	case config.Pseudonymous:
		return []string{
			"Chats and numbers are replaced by keyed hashes of 128 bits, in routing data, in checkpoints and in " +
				"the event's data. Whoever holds the key of privacy.key_file can recover the numbers, " +
				"at 2 to 7 million guesses a second on one core (100 million numbers in less than a minute); " +
				"without the key nobody can test a guess, at any speed (privacy.identifiers: pseudonymous).",
			"The same number has the same token in all streams with this key: whoever sees the events can tell that " +
				"two chats belong to one person, but not to whom. A token lasts as long as the key.",
		}
	}
	return []string{
		"Routing data (subjects, keys, attributes) names a chat by a hash of 128 bits: it contains no number, " +
			"but whoever guesses numbers can test them. Measured: 7 million guesses a second on one core, " +
			"so that all 100 million mobile numbers of a country are tried in 14 seconds; 11 million a second for " +
			"the connected number in a checkpoint's source_key. " +
			"Only the processor limits that: to test a chat's token the guesser needs the session key's form and " +
			"the source key too, which are in the events and checkpoints. " +
			"The event's data holds the numbers as the API returns them (privacy.identifiers: hashed; pseudonymous " +
			"needs a key to test a guess).",
	}
}
