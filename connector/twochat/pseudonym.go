package twochat

import (
	"bytes"
	"math/big"
	"strconv"
)

// gather collects the numbers that the item itself names, in the value at i and everything within it: in members for
// numbers, and in WhatsApp ids. These numbers are recognised by their digits alone, anywhere in the item.
func (w *rewriter) gather(i int, as role) int {
	switch w.json.data[i] {
	case '{':
		return w.json.object(i, 0, func(key span, value int) int {
			name := unquote(key.of(w.json.data))
			w.know(name)
			next := w.roleOf(name)
			if next == roleUnknown || next == roleEnvelope {
				next = as
			}
			return w.gather(value, next)
		})
	case '[':
		return w.json.array(i, 0, func(value int) int { return w.gather(value, as) })
	case '"':
		end := w.json.text(i)
		said := unquote(w.json.data[i:end])
		if as == roleIdentifier || as == rolePerson || bytes.IndexByte(said, '@') >= 0 {
			w.know(said)
		}
		return end
	}
	end := w.json.value(i, 0)
	if literal := w.json.data[i:end]; as == roleIdentifier && isNumber(literal) {
		if digits, whole := wholeDigits(literal); whole {
			w.know(digits)
		}
	}
	return end
}

// know records the numbers in an identifier: the identifier itself, if it is one, and those of the ids in it.
func (w *rewriter) know(identifier []byte) {
	if len(identifier) < fewestOwn || len(identifier) > 512 {
		return
	}
	var room [keptDigits]byte
	if digits := onlyNumber(identifier, room[:]); len(digits) >= fewestOwn {
		if trimmed := bytes.TrimPrefix(digits, []byte("00")); len(trimmed) >= fewestDigits {
			digits = trimmed
		}
		w.remember(digits, digits)
		return
	}
	for i := 0; i < len(identifier); i++ {
		if !isDigit(identifier[i]) || i > 0 && isDigit(identifier[i-1]) {
			continue
		}
		id, ok := readID(identifier, i)
		if !ok || !id.ofWhatsApp() {
			continue
		}
		var text [256]byte
		w.remember(id.user, id.identifier(text[:]))
		i = id.end - 1
	}
}

// remember records a number and the identifier of its token, unless its digits are known.
func (w *rewriter) remember(digits, identifier []byte) {
	if len(digits) < fewestOwn || len(identifier) > 200 || exactly(w.owns, digits) != "" || len(w.owns) >= 64 {
		return
	}
	w.owns = append(w.owns, own{string(digits), w.pseudonym(identifier)})
}

// onlyNumber returns the digits of a text that is nothing but a phone number, in any spelling; else nil.
func onlyNumber(text, room []byte) []byte {
	text = bytes.TrimSpace(text)
	i := 0
	for i < len(text) {
		u := unitAt(text, i)
		if u.kind == unitDigit || u.kind == unitPlus {
			break
		}
		if u.kind == unitOther {
			return nil
		}
		i = u.end
	}
	got := readDigits(text, i, nil, room)
	for end := got.end; end < len(text); {
		u := unitAt(text, end)
		if u.kind != unitInvisible && u.kind != unitSeparator {
			return nil
		}
		end = u.end
	}
	return got.digits
}

// pseudonymised returns a string with pseudonyms for the people in it. ok is false if it names nobody.
func (w *rewriter) pseudonymised(said []byte, at place) (rewritten []byte, ok bool) {
	if at.role == roleTime && isMoment(said) && !isOwn(w.owns, said) {
		return nil, false
	}
	switch {
	case at.person || at.identifier || at.role == roleName || at.role == roleCard || isCard(said):
		return []byte(w.whole(said)), true
	}
	if text := hidden(said); text != nil {
		if _, ok := w.scrub(text); ok || isCard(text) {
			return []byte(w.pseudonym(said)), true
		}
	}
	return w.scrub(said)
}

// isOwn reports whether a text is one of the item's own numbers.
func isOwn(owns []own, said []byte) bool {
	var room [keptDigits]byte
	digits := onlyNumber(said, room[:])
	return len(digits) > 0 && exactly(owns, digits) != ""
}

// whole is the token of a string that as a whole is a number, a chat or a person's name.
func (w *rewriter) whole(said []byte) string {
	var room [keptDigits]byte
	if digits := onlyNumber(said, room[:]); len(digits) > 0 {
		return w.numberToken(digits)
	}
	var text [256]byte
	if id, ok := readID(said, 0); ok && id.end == len(said) && len(said) < len(text) {
		return w.pseudonym(id.identifier(text[:]))
	}
	return w.pseudonym(said)
}

// number returns the token of a JSON number that may be a phone number, or "".
func (w *rewriter) number(literal []byte, at place) string {
	if at.role == roleTime && isMoment(literal) && !isOwn(w.owns, literal) {
		return ""
	}
	digits, whole := wholeDigits(literal)
	if whole && len(digits) >= fewestOwn {
		if token := exactly(w.owns, digits); token != "" {
			return token
		}
	}
	switch {
	case at.role == roleIdentifier || at.role == roleName:
	case at.role == rolePlain && len(digits) < 10:
		return ""
	case countDigits(literal) < fewestDigits && len(digits) < fewestDigits:
		return ""
	}
	if whole {
		return w.numberToken(digits)
	}
	return w.pseudonym(literal)
}

// wholeDigits returns the digits of a JSON number before its point, in any notation; whole is true if the number is an
// integer.
func wholeDigits(literal []byte) (digits []byte, whole bool) {
	bare := bytes.TrimPrefix(literal, []byte("-"))
	if !bytes.ContainsAny(bare, ".eE") {
		return bare, true
	}
	if len(bare) > keptDigits {
		return nil, false
	}
	if e := bytes.IndexAny(bare, "eE"); e >= 0 {
		if exponent, err := strconv.Atoi(string(bare[e+1:])); err != nil || exponent > 40 || exponent < -40 {
			return nil, false
		}
	}
	value, ok := new(big.Rat).SetString(string(bare))
	if !ok {
		return nil, false
	}
	text := new(big.Int).Quo(value.Num(), value.Denom()).String()
	return []byte(text), value.IsInt()
}

func countDigits(literal []byte) int {
	if e := bytes.IndexAny(literal, "eE"); e >= 0 {
		literal = literal[:e]
	}
	count := 0
	for _, c := range literal {
		if isDigit(c) {
			count++
		}
	}
	return count
}

// mayHoldNumber reports whether a text has as many digits as a number needs, or characters that may encode digits.
func mayHoldNumber(text []byte) bool {
	digits := 0
	for _, c := range text {
		switch {
		case isDigit(c):
			if digits++; digits >= fewestOwn {
				return true
			}
		case c >= 0x80, c == '%', c == '&', c == '\\', c == '@':
			return true
		}
	}
	return false
}

// scrub replaces the phone numbers and WhatsApp ids in a text by pseudonyms and leaves every other character. ok is
// false if there are none.
func (w *rewriter) scrub(text []byte) (rewritten []byte, ok bool) {
	if !mayHoldNumber(text) {
		return nil, false
	}
	copied := 0
	put := func(from, to int, token string) {
		rewritten = append(append(rewritten, text[copied:from]...), token...)
		copied = to
	}
	var room [keptDigits + 1]byte
	var ids [256]byte
	for i := 0; i < len(text); {
		if isWord(text[i]) && (i == 0 || !isWord(text[i-1])) {
			if length := opaque(text[i:]); length > 0 && !holdsOwn(text[i:i+length], w.owns) {
				i += length
				continue
			}
		}
		u := unitAt(text, i)
		if u.kind != unitDigit && u.kind != unitPlus {
			i = u.end
			continue
		}
		if isDigit(text[i]) {
			if id, found := readID(text, i); found && len(id.user) < 200 &&
				(id.ofWhatsApp() || len(id.user) >= fewestDigits || exactly(w.owns, id.user) != "") {
				token := exactly(w.owns, id.user)
				if token == "" || id.ofWhatsApp() {
					token = w.pseudonym(id.identifier(ids[:]))
				}
				put(i, id.device, token)
				i = id.at + 1
				continue
			}
		}
		got := readDigits(text, i, w.owns, room[:])
		if len(got.digits) == 0 {
			i = u.end
			continue
		}
		known := exactly(w.owns, got.digits) != ""
		if length := dateLength(text[i:]); length > 0 && !known && (i == 0 || !isDigit(text[i-1])) {
			i += length
			continue
		}
		if !known && len(got.digits) < fewestDigits {
			i = got.end
			continue
		}
		put(i, got.end, w.numberToken(got.digits))
		i = got.end
	}
	if copied == 0 {
		return nil, false
	}
	return append(rewritten, text[copied:]...), true
}

// numberToken is the token of the number with these digits.
func (w *rewriter) numberToken(digits []byte) string {
	if token := ownToken(w.owns, digits); token != "" {
		return token
	}
	if trimmed := bytes.TrimPrefix(digits, []byte("00")); len(trimmed) >= fewestDigits {
		digits = trimmed
	}
	return w.pseudonym(digits)
}

// pseudonym returns the token of an identifier. The tokens of a page are few, and are cached.
func (w *rewriter) pseudonym(identifier []byte) string {
	if token, ok := w.tokens[string(identifier)]; ok {
		return token
	}
	token := w.rules.pseudonym(identifier)
	if w.tokens != nil {
		w.tokens[string(identifier)] = token
	}
	return token
}

// mostRoles bounds how many member names are remembered for a page, as some objects have data as names.
const mostRoles = 500

// roleOf returns the role of a member, which is cached per page.
func (p *pageCache) roleOf(name []byte) role {
	if known, ok := p.roles[string(name)]; ok {
		return known
	}
	found := roleOf(name)
	if p.roles != nil && len(p.roles) < mostRoles {
		p.roles[string(name)] = found
	}
	return found
}
