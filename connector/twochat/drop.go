package twochat

import "bytes"

// drops reports whether the value at i is dropped together with its member's name: because of the name, or because of
// the value whatever the name.
func (w *rewriter) drops(i int, at place) bool {
	r := w.rules
	if !r.dropping {
		return false
	}
	switch at.role {
	case roleText, roleThing:
		if r.text {
			return true
		}
	case roleCard:
		if r.text || r.names {
			return true
		}
	case roleMedia:
		if r.media {
			return true
		}
	case roleQuoted:
		if r.quoted {
			return true
		}
	case roleName:
		if r.names {
			return true
		}
	}
	switch w.json.data[i] {
	case '{':
		return r.quoted && at.role != roleMessage && !at.root && w.isItem(i) || r.text && w.isPlace(i)
	case '"':
		said := unquote(w.json.data[i:w.json.text(i)])
		if bare, deep, ok := nestedJSON(said); ok {
			inner := rewriter{json: scanner{data: bare}}
			return r.text && (at.role == roleUnknown || at.role == roleMessage) || r.quoted && !deep && bare[0] == '{' &&
				inner.isItem(0)
		}
		return r.dropsText(said, at)
	}
	return false
}

// dropsText reports whether a string is dropped because of what it contains.
func (r *redactor) dropsText(said []byte, at place) bool {
	if len(said) == 0 {
		return false
	}
	card, file := isCard(said), isFile(said) || fileURL(said) == len(said)
	switch {
	case r.media && file:
		return true
	case card:
		return r.text || r.names
	case file:
		return false
	case r.names && at.person && !impersonal(said):
		return true
	case !r.text:
		return false
	}
	switch at.role {
	case roleMessage:
		return true
	case rolePlain, roleTime:
		return !brief(said)
	case roleIdentifier:
		return bytes.ContainsAny(said, " \t\r\n") && !impersonal(said)
	case roleName, rolePerson, roleMedia:
		return false
	}
	return !at.person && (said[0] != '+' && isDigit(said[0]) && opaque(said) == 0 && !isMoment(said) && !isID(said) ||
		!impersonal(said))
}

// isID reports whether a string is one of WhatsApp's ids and nothing else.
func isID(said []byte) bool {
	id, ok := readID(said, 0)
	return ok && id.end == len(said)
}

// impersonal reports whether a string has the form of an id, a time or a number, so that no person wrote it.
func impersonal(said []byte) bool {
	if string(said) == "true" || string(said) == "false" || string(said) == "null" {
		return true
	}
	if opaque(said) == len(said) || isMoment(said) {
		return true
	}
	var room [keptDigits]byte
	return len(onlyNumber(said, room[:])) > 0 || isID(said)
}

// brief reports whether a string can be the name of a kind, or a time: up to 64 characters of ASCII, of which a few may
// be blanks.
func brief(said []byte) bool {
	blanks := 0
	for _, c := range said {
		if c == ' ' {
			blanks++
		}
		if c < ' ' || c > '~' {
			return false
		}
	}
	return len(said) <= 64 && blanks <= 1
}

// isItem reports whether the object at i is itself a message of a list, quoted by somebody.
func (w *rewriter) isItem(i int) bool {
	content, named := false, false
	w.json.object(i, 0, func(key span, value int) int {
		switch string(unquote(key.of(w.json.data))) {
		case "message", "text", "body", "caption", "conversation":
			content = true
		case "uuid", "id", "session_key", "sent_by", "created_at", "timestamp", "participant", "stanzaId", "key":
			named = true
		}
		return w.json.value(value, 0)
	})
	return content && named
}

// isPlace reports whether the object at i is a location.
func (w *rewriter) isPlace(i int) bool {
	place := false
	w.json.object(i, 0, func(key span, value int) int {
		place = place || string(key.of(w.json.data)) == `"latitude"` || string(key.of(w.json.data)) == `"lat"`
		return w.json.value(value, 0)
	})
	return place
}
