package main

import (
	"slices"
	"strings"

	"github.com/twochat-connector/twochat-connector/config"
)

// privacyText says who gets to see what.
func privacyText(c *config.Config) []string {
	pseudonymous := c.Privacy.Identifiers == config.Pseudonymous
	lines := []string{
		"2Chat (" + c.TwoChat.BaseURL + ") gets the API key and the numbers to read, in requests for lists; " +
			"nothing is sent or changed there.",
		"The sink gets the events. " + dataText(c),
	}
	lines = append(lines, whoFinds(c)...)
	quarantine := "The quarantine, in the sink too, holds up to 64 KiB of a broken message as it came."
	if pseudonymous || len(c.Privacy.Drop) > 0 {
		quarantine = "The quarantine, in the sink too, holds of a broken message the reason, its length and a " +
			"hash, and none of its bytes."
	}
	name := " A stream's name is its connected number, unless `name:` gives it another."
	if pseudonymous {
		name = ""
	}
	return append(lines, quarantine,
		"Logs, metrics, /status and errors name streams, never a customer's number, chat, text or media, and no "+
			"key; what libraries print is not shown."+name,
		"Nobody else gets anything: there is no telemetry.")
}

// dataText says what of a message stands in the data of its event.
func dataText(c *config.Config) string {
	text := "Events carry each message whole, as the API gives it: texts, numbers, media URLs, contacts' names"
	if c.Privacy.Identifiers == config.Pseudonymous {
		text = "Every string and number of a message is looked at: what reads as a phone number, in any spelling, " +
			"is a token, the same wherever the number stands; " +
			"so is what names people; texts keep their words, and with them whatever people wrote of themselves; " +
			"media URLs stay"
	}
	if c.Events.Data == config.DataRow {
		text += "; a row beside it shows parts of what is there then, and nothing else"
	}
	if len(c.Privacy.Drop) == 0 {
		return text + "."
	}
	what := map[string]string{
		"text":   "what was written, said or ordered, places, and all that no name or form tells to be harmless",
		"media":  "files and the ways to them",
		"quoted": "messages that were quoted", "names": "what names people",
	}
	parts := make([]string, len(c.Privacy.Drop))
	for i, drop := range c.Privacy.Drop {
		parts[i] = drop + " (" + what[drop] + ")"
	}
	left := ""
	if !slices.Contains(c.Privacy.Drop, "text") {
		left = " A member that was never seen before is treated as text, and stays."
	}
	return text + "; taken out, wherever it stands: " + strings.Join(parts, ", ") + " (privacy.drop)." + left
}

// whoFinds says who can find whose number in what is written, in numbers. The speed was measured with BenchmarkGuess of
// connector/twochat, on one core of a server's processor of 2024.
func whoFinds(c *config.Config) []string {
	switch c.Privacy.Identifiers {
	case config.Clear:
		return []string{"Routing data (subjects, keys, attributes) names a chat by its number or session in " +
			"clear: whoever reads a subject or key has the number (privacy.identifiers: clear)."}
	case config.Pseudonymous:
		return []string{
			"Chats and numbers are replaced by keyed hashes of 128 bits, in routing data, in checkpoints and in " +
				"the event's data. Who holds the key of privacy.key_file can find the numbers again, " +
				"at 2 to 7 million guesses a second on one core (100 million numbers in less than a minute); " +
				"without the key nobody can test a guess, at any speed (privacy.identifiers: pseudonymous).",
			"The same number has the same token in all streams with this key: who sees the events can tell that " +
				"two chats are one person's, and not whose. A token is as long-lived as the key.",
		}
	}
	return []string{
		"Routing data (subjects, keys, attributes) names a chat by a hash of 128 bits: no number stands in it, " +
			"though whoever can guess numbers can test them. Measured: 7 million guesses a second on one core, " +
			"so that all 100 million mobile numbers of a country are tried in 14 seconds; 11 million a second for " +
			"the connected number in a checkpoint's source_key. " +
			"That depends on the processor alone: for a chat's token the guesser needs the session key's form and " +
			"the source key as well, which stand in the events and checkpoints. " +
			"The event's data holds the numbers as the API gives them (privacy.identifiers: hashed; pseudonymous " +
			"needs a key to test a guess).",
	}
}
