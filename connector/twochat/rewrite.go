package twochat

import (
	"bytes"
	"encoding/json"
)

// rewrite returns the item as the event is to carry it: without what is dropped, and with pseudonyms for identifiers.
// Where nothing changes it returns item itself; else only what changes is written anew, and every other byte stays. item
// is a valid JSON object in valid UTF-8.
//
// Members are known by their names at any depth: the list's items nest quoted messages, and nobody has documented all
// that they can hold. Dropping too much is a lesser fault here than letting a name through.
func (r *redactor) rewrite(item []byte) []byte {
	w := rewriter{rules: r, json: scanner{data: item}}
	w.value(0, place{})
	if w.out == nil {
		return item
	}
	return append(w.out, item[w.copied:]...)
}

// rewriter goes through an item and copies what stays.
type rewriter struct {
	rules  *redactor
	json   scanner
	out    []byte // nil until something changes
	copied int    // how much of the item is in out, or was left away
}

// place says where in an item a value stands.
type place struct {
	identifier bool // in a member that holds an identifier
	person     bool // inside an object that describes somebody
	date       bool // the value of a member that holds a time
	text       bool // the value of a member that holds what somebody wrote
}

// replace writes with instead of the item's bytes in [from, to).
func (w *rewriter) replace(from, to int, with []byte) {
	if w.out == nil {
		w.out = make([]byte, 0, len(w.json.data)+64)
	}
	w.out = append(append(w.out, w.json.data[w.copied:from]...), with...)
	w.copied = to
}

// value rewrites the value at i and returns the place after it.
func (w *rewriter) value(i int, at place) int {
	switch w.json.data[i] {
	case '{':
		return w.object(i, at)
	case '[':
		return w.json.array(i, 0, func(i int) int { return w.value(i, at) })
	case '"':
		end := w.json.text(i)
		w.text(i, end, at)
		return end
	}
	end := w.json.value(i, 0)
	literal := w.json.data[i:end]
	if w.rules.mode == IdentifiersPseudonymous && isNumber(literal) && (at.identifier || at.person && !at.date && longNumber(literal)) {
		w.replace(i, end, quoted(w.rules.pseudonym(literal)))
	}
	return end
}

// object rewrites an object's members and drops those that are not wanted, with one of the commas beside them.
func (w *rewriter) object(i int, at place) int {
	data := w.json.data
	i = w.json.space(i + 1)
	if data[i] == '}' {
		return i + 1
	}
	kept := false // a member before this one stays
	comma := i    // the comma before this one
	for {
		key := i
		end := w.json.text(i)
		name := unquote(data[key:end])
		value := w.json.space(w.json.space(end) + 1)
		if w.rules.drops(name, data[value]) {
			end = w.json.value(value, 0)
			next := w.json.space(end)
			switch {
			case kept:
				w.replace(comma, end, nil)
			case data[next] == ',':
				w.replace(key, w.json.space(next+1), nil)
			default:
				w.replace(key, end, nil)
			}
		} else {
			if w.rules.mode == IdentifiersPseudonymous {
				w.ids(key, end)
			}
			end = w.value(value, at.member(name))
			kept = true
		}
		i = w.json.space(end)
		if data[i] == '}' {
			return i + 1
		}
		comma = i
		i = w.json.space(i + 1)
	}
}

// drops tells whether a member of this name is left away; first is where its value begins.
func (r *redactor) drops(name []byte, first byte) bool {
	switch string(name) {
	case "message":
		return r.text && first == '"' // some items are said to hold the bare text there
	case "text":
		return r.text
	case "media":
		return r.media
	case "quoted_msg", "quoted_message", "quoted":
		return r.quoted
	}
	return false
}

// member is the place of a member's value in an object that stands at the place.
func (at place) member(name []byte) place {
	next := place{person: at.person, identifier: at.identifier}
	switch string(name) {
	case "session_key", "remote_phone_number", "channel_phone_number", "to_number", "from_number", "phone_number", "phone",
		"pushname", "remote_id", "to_remote_id", "_2chat_link":
		next.identifier = true
	case "participant", "contact", "author", "channel", "group":
		next.person = true
	case "created_at", "timestamp", "last_updated", "updated_at", "wa_created_at":
		next.date = true
	case "text":
		next.text = true
	}
	return next
}

// text rewrites the string at [i, end).
func (w *rewriter) text(i, end int, at place) {
	if w.rules.mode != IdentifiersPseudonymous {
		return
	}
	said := unquote(w.json.data[i:end])
	switch {
	case at.identifier || at.person && !at.date || !at.text && phoneNumber(said):
		if len(said) > 0 {
			w.replace(i, end, quoted(w.rules.pseudonym(said)))
		}
	case !at.text:
		w.ids(i, end)
	}
}

// ids puts pseudonyms for the numbers of WhatsApp's ids inside the string at [i, end).
func (w *rewriter) ids(i, end int) {
	if rewritten, ok := w.rules.ids(unquote(w.json.data[i:end])); ok {
		w.replace(i, end, quoted(string(rewritten)))
	}
}

// suffixes are how WhatsApp's ids end.
var suffixes = [...]string{"@c.us", "@g.us", "@lid", "@s.whatsapp.net"}

// ids puts pseudonyms for the numbers of WhatsApp's ids in text: of 595981048477@c.us the suffix stays. ok is false where
// there are none.
func (r *redactor) ids(text []byte) (rewritten []byte, ok bool) {
	copied := 0
	for sign := 0; sign < len(text); sign++ {
		next := bytes.IndexByte(text[sign:], '@')
		if next < 0 {
			break
		}
		sign += next
		suffix := suffixAt(text[sign:])
		from := sign
		for from > copied && idCharacter(text[from-1], suffix) {
			from--
		}
		for from < sign && (text[from] < '0' || text[from] > '9') {
			from++
		}
		if suffix == "" || from == sign {
			continue
		}
		rewritten = append(append(rewritten, text[copied:from]...), r.pseudonym(text[from:sign+len(suffix)])...)
		copied = sign
	}
	if rewritten == nil {
		return nil, false
	}
	return append(rewritten, text[copied:]...), true
}

func suffixAt(text []byte) string {
	for _, suffix := range suffixes {
		if bytes.HasPrefix(text, []byte(suffix)) {
			return suffix
		}
	}
	return ""
}

// idCharacter tells whether c may stand in an id before this suffix: groups have a dash, devices a colon or a point.
func idCharacter(c byte, suffix string) bool {
	return c >= '0' && c <= '9' || c == ':' || c == '.' || c == '-' && suffix == "@g.us"
}

// phoneNumber tells whether text is an E.164 number and nothing else.
func phoneNumber(text []byte) bool {
	if len(text) < 7 || len(text) > 16 || text[0] != '+' {
		return false
	}
	for _, c := range text[1:] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// isNumber tells whether a valid literal is a number.
func isNumber(literal []byte) bool {
	return literal[0] == '-' || literal[0] >= '0' && literal[0] <= '9'
}

// longNumber tells whether a number has seven digits or more, so that it can be somebody's phone number.
func longNumber(literal []byte) bool { return len(literal) >= 7 }

// quoted writes text as a JSON string. encoding/json would escape characters for HTML that need no escape in JSON.
func quoted(text string) []byte {
	plain := true
	for i := range len(text) {
		plain = plain && text[i] >= ' ' && text[i] <= '~' && text[i] != '"' && text[i] != '\\'
	}
	if plain {
		return append(append(append(make([]byte, 0, len(text)+2), '"'), text...), '"')
	}
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(text) != nil {
		return []byte(`""`) // strings have no errors
	}
	return bytes.TrimRight(buffer.Bytes(), "\n")
}
