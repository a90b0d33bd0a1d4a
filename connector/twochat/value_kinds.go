package twochat

import (
	"bytes"
	"slices"
	"strings"
)

// appendNew appends a text to a list unless it is in it.
func appendNew(list []string, text string) []string {
	if slices.Contains(list, text) {
		return list
	}
	return append(list, text)
}

// appendForm adds the form of the time at p.
func appendForm(list []string, body []byte, p span) []string {
	const most = 5
	if !p.found() || len(list) == most {
		return list
	}
	raw := p.of(body)
	switch raw[0] {
	case '"':
		return appendNew(list, `"`+digitForm(unquote(raw))+`"`)
	case '{', '[':
		return appendNew(list, "a container")
	case 'n':
		return appendNew(list, "null")
	}
	return appendNew(list, digitForm(raw))
}

func forms(list []string) string {
	if len(list) == 0 {
		return "absent"
	}
	return strings.Join(list, " or ")
}

// compact returns the distinct ids, without empty ones.
func compact(ids []string) []string {
	sorted := slices.Clone(ids)
	slices.Sort(sorted)
	sorted = slices.Compact(sorted)
	return slices.DeleteFunc(sorted, func(id string) bool { return id == "" })
}

// chatKind names the kind of a chat's identifier, without the identifier.
func chatKind(chat []byte) string {
	kind := "other"
	for _, prefix := range []string{"WW-", "WA-", "+"} {
		if bytes.HasPrefix(chat, []byte(prefix)) {
			kind = prefix + "…"
		}
	}
	if string(chat) == "none" {
		return "none"
	}
	for _, suffix := range [...]string{"@c.us", "@g.us", "@lid", "@s.whatsapp.net"} {
		if bytes.HasSuffix(chat, []byte(suffix)) {
			return kind + suffix
		}
	}
	return kind
}

// senderKind names who sent a message if it is one of the names known so far.
func senderKind(by []byte) string {
	switch string(by) {
	case "":
		return "absent"
	case "user", "api", "agent", "system":
		return string(by)
	}
	return "unknown"
}
