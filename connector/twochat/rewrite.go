package twochat

import (
	"bytes"
	"encoding/json"
)

// maxNesting is the depth to which JSON within strings within JSON is followed.
const maxNesting = 4

// rewrite returns the item for the event: without what is dropped, and with pseudonyms for people. If nothing changes
// it returns item itself; otherwise only the changed parts are rewritten, and every other byte stays. item is a valid
// JSON object in valid UTF-8, not nested deeper than maxDepth. numbers are those of the list, which its items may spell
// in any way.
//
// Every string and number is checked, so that nothing passes merely because it is unknown. The name of a known member
// determines what its value is; an unknown member is treated as text. In addition, values are recognised by their form:
// a number in any spelling, a contact card, a file, another message.
func (r *redactor) rewrite(item []byte, numbers ...string) []byte {
	return r.rewriteWith(nil, item, nil, numbers...)
}

// pageCache caches what the items of a page have in common: chats and the names of members.
type pageCache struct {
	tokens map[string]string
	roles  map[string]role
}

// rewriteWith is rewrite with the page's cache; it also reports each unknown member.
func (r *redactor) rewriteWith(page *pageCache, item []byte, tell func(name []byte), numbers ...string) []byte {
	w := rewriter{rules: r, json: scanner{data: item}, tell: tell}
	if page != nil {
		w.pageCache = *page
	}
	if r.pseudonymous() {
		for _, number := range numbers {
			w.know([]byte(number))
		}
		w.gather(0, roleEnvelope)
	}
	w.value(0, place{root: true, role: roleEnvelope})
	if w.unknown > 0 {
		r.unknown.Add(w.unknown)
	}
	if w.out == nil {
		return item
	}
	return append(w.out, item[w.copied:]...)
}

// rewriter goes through an item and copies what is kept.
type rewriter struct {
	pageCache // of the item's page, as far as it is filled; its maps may be nil

	rules   *redactor
	json    scanner
	out     []byte // nil until something changes
	copied  int    // how much of the item has been copied to out, or left out
	owns    []own
	nesting int
	unknown uint64
	tell    func(name []byte)
}

// place describes the position of a value in an item.
type place struct {
	role role // of the member, or of the member around the array
	// The surroundings: the description of a person, a member that holds an identifier, a list of products.
	person, identifier, goods bool
	root                      bool // the item itself
	plain                     bool // the member's name is known, and holds no number
}

// replace writes with in place of the item's bytes in [from, to).
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
		return w.members(i, '}', at)
	case '[':
		return w.members(i, ']', at)
	case '"':
		end := w.json.text(i)
		w.text(i, end, at)
		return end
	}
	end := w.json.value(i, 0)
	if literal := w.json.data[i:end]; w.rules.pseudonymous() && isNumber(literal) {
		if token := w.number(literal, at); token != "" {
			w.replace(i, end, quoted(token))
		}
	}
	return end
}

// members rewrites the contents of an object or array and removes what is dropped, together with one adjacent comma.
func (w *rewriter) members(i int, closing byte, at place) int {
	data := w.json.data
	i = w.json.space(i + 1)
	if data[i] == closing {
		return i + 1
	}
	kept := false // a member before this one is kept
	comma := i    // the comma before this one
	for {
		first, value, inside := i, i, at
		inside.root = false
		if closing == '}' {
			end := w.json.text(i)
			value = w.json.space(w.json.space(end) + 1)
			inside = w.member(unquote(data[first:end]), at)
		}
		var end int
		if w.drops(value, inside) {
			end = w.json.value(value, 0)
			next := w.json.space(end)
			switch {
			case kept:
				w.replace(comma, end, nil)
			case data[next] == ',':
				w.replace(first, w.json.space(next+1), nil)
			default:
				w.replace(first, end, nil)
			}
		} else {
			if closing == '}' && !inside.plain {
				w.name(first)
			}
			end = w.value(value, inside)
			kept = true
		}
		i = w.json.space(end)
		if data[i] == closing {
			return i + 1
		}
		comma = i
		i = w.json.space(i + 1)
	}
}

// member is the place of a member's value in an object at this place.
func (w *rewriter) member(name []byte, at place) place {
	next := place{role: w.roleOf(name), person: at.person, identifier: at.identifier, goods: at.goods}
	next.plain = next.role != roleUnknown && !mayHoldNumber(name)
	switch next.role {
	case roleUnknown:
		w.unknown++
		if w.tell != nil {
			w.tell(name)
		}
	case roleIdentifier:
		next.identifier = true
	case rolePerson, roleCard:
		next.person = true
	case roleThing:
		next.goods = string(name) == "products"
	case roleName:
		// A product has a name as well, but is not a person.
		if at.goods && !at.person && string(name) == "name" {
			next.role = roleText
		} else {
			next.person = true
		}
	}
	return next
}

// name rewrites the name of a member, the string at i: in some objects phone numbers are names.
func (w *rewriter) name(i int) {
	if !w.rules.pseudonymous() {
		return
	}
	end := w.json.text(i)
	if rewritten, ok := w.pseudonymised(unquote(w.json.data[i:end]), place{}); ok {
		w.replace(i, end, quoted(string(rewritten)))
	}
}

// text rewrites the string at [i, end).
func (w *rewriter) text(i, end int, at place) {
	said := unquote(w.json.data[i:end])
	if len(said) == 0 {
		return
	}
	if inner, ok := w.nested(said, at); ok {
		if inner != nil {
			w.replace(i, end, quoted(string(inner)))
		}
		return
	}
	now, changed := said, false
	if w.rules.media {
		now, changed = withoutFiles(said)
	}
	if w.rules.pseudonymous() {
		if rewritten, ok := w.pseudonymised(now, at); ok {
			now, changed = rewritten, true
		}
	}
	if changed {
		w.replace(i, end, quoted(string(now)))
	}
}

// nested rewrites a string that holds JSON. ok is true if it does; inner is nil if nothing changed.
func (w *rewriter) nested(said []byte, at place) (inner []byte, ok bool) {
	bare, deep, ok := nestedJSON(said)
	switch {
	case !ok:
		return nil, false
	case !deep && w.nesting < maxNesting:
	case w.rules.pseudonymous():
		return []byte(w.pseudonym(said)), true
	default:
		return []byte{}, true
	}
	below := rewriter{
		rules: w.rules, json: scanner{data: bare}, owns: w.owns, pageCache: w.pageCache,
		nesting: w.nesting + 1, tell: w.tell,
	}
	below.value(0, at)
	w.unknown += below.unknown
	if below.out == nil {
		return nil, true
	}
	return append(below.out, bare[below.copied:]...), true
}

// nestedJSON finds the JSON that a string holds: an object, an array or a string. deep is true if it is nested deeper
// than an item may be.
func nestedJSON(said []byte) (bare []byte, deep, ok bool) {
	bare = bytes.TrimSpace(said)
	if len(bare) < 2 || bare[0] != '{' && bare[0] != '[' && bare[0] != '"' {
		return nil, false, false
	}
	s := scanner{data: bare}
	ok = s.value(0, 0) == len(bare)
	return bare, s.deep, ok
}

// withoutFiles removes URLs of files from a text.
func withoutFiles(text []byte) (without []byte, ok bool) {
	copied := 0
	for i := 0; ; {
		next := bytes.Index(text[i:], []byte("http"))
		if next < 0 {
			break
		}
		i += next
		length := fileURL(text[i:])
		if length == 0 {
			i += len("http")
			continue
		}
		without = append(without, text[copied:i]...)
		i += length
		copied = i
	}
	if copied == 0 {
		return text, false
	}
	return append(without, text[copied:]...), true
}

// isNumber reports whether a valid literal is a number.
func isNumber(literal []byte) bool { return literal[0] == '-' || isDigit(literal[0]) }

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
