package twochat

import (
	"bytes"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// unitKind classifies a character for the search for phone numbers.
type unitKind uint8

const (
	unitOther     unitKind = iota // a letter, or anything that ends a number
	unitDigit                     // a digit of any script
	unitPlus                      // a plus sign
	unitSeparator                 // a character that people and programs put between the digits of a number
	unitInvisible                 // invisible: zero-width characters, marks of direction, the frame of an emoji
	unitEnd
)

// unit is one character of a text in any encoding: as it is, as %31 in a URL, as &#49; in HTML, or as an escape of JSON
// within a string.
type unit struct {
	kind  unitKind
	digit byte // '0' to '9'
	end   int  // where the next one begins
}

// unitAt reads the unit at i.
func unitAt(text []byte, i int) unit {
	if i >= len(text) {
		return unit{kind: unitEnd, end: i}
	}
	c := text[i]
	switch {
	case c >= '0' && c <= '9':
		return unit{unitDigit, c, i + 1}
	case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		return unit{end: i + 1}
	case c == '%':
		if r, end := percentRune(text, i); end > 0 {
			return unitOf(r, end)
		}
	case c == '&':
		if r, end := entityRune(text, i); end > 0 {
			return unitOf(r, end)
		}
	case c == '\\':
		if r, end := escapedRune(text, i); end > 0 {
			return unitOf(r, end)
		}
	}
	r, size := utf8.DecodeRune(text[i:])
	return unitOf(r, i+size)
}

func unitOf(r rune, end int) unit {
	if digit, ok := digitOf(r); ok {
		return unit{unitDigit, digit, end}
	}
	switch {
	case r == '+' || r == '＋' || r == '﹢' || r == '⁺' || r == '₊':
		return unit{kind: unitPlus, end: end}
	case r == '.' || r == '(' || r == ')' || r == '/' || r == '_' || r == ',' || r == ':' || r == '*' || r == '~' ||
		r == '|' || r == '\\' ||
		r == '[' || r == ']' || r == '\'' || r == '·' || r == '•' || r == '‧' || r == '∙' || r == '․' || r == '。' ||
		r == '（' || r == '）',
		unicode.IsSpace(r), unicode.In(r, unicode.Zs, unicode.Pd), r == '−':
		return unit{kind: unitSeparator, end: end}
	case unicode.In(r, unicode.Cf, unicode.Mn, unicode.Me), r == 'ㅤ', r == 'ᅠ':
		return unit{kind: unitInvisible, end: end}
	}
	return unit{end: end}
}

// digitOf is the digit that a character represents: of any script, superscript, subscript or circled.
func digitOf(r rune) (byte, bool) {
	switch {
	case r < 0x80:
		return byte(r), r >= '0' && r <= '9'
	case r == '¹':
		return '1', true
	case r == '²' || r == '³':
		return byte('2' + r - '²'), true
	case r == '⁰' || r >= '⁴' && r <= '⁹':
		return byte('0' + r - '⁰'), true
	case r >= '₀' && r <= '₉':
		return byte('0' + r - '₀'), true
	case r >= '①' && r <= '⑨':
		return byte('1' + r - '①'), true
	case r == '⓪' || r == '⓿':
		return '0', true
	case r >= '❶' && r <= '❾':
		return byte('1' + r - '❶'), true
	}
	if !unicode.Is(unicode.Nd, r) {
		return 0, false
	}
	// The digits of a script are consecutive, and every range of the table begins with a zero.
	for _, row := range unicode.Nd.R16 {
		if rune(row.Lo) <= r && r <= rune(row.Hi) {
			return byte('0' + (r-rune(row.Lo))%10), true
		}
	}
	for _, row := range unicode.Nd.R32 {
		if rune(row.Lo) <= r && r <= rune(row.Hi) {
			return byte('0' + (r-rune(row.Lo))%10), true
		}
	}
	return 0, false
}

// percentRune reads a character of a URL: %2B, also escaped more than once (%252B). end is 0 if there is none.
func percentRune(text []byte, i int) (r rune, end int) {
	var encoded [utf8.UTFMax]byte
	for n := range encoded {
		c, next := percentByte(text, i)
		if next == 0 {
			return 0, 0
		}
		encoded[n], i = c, next
		if utf8.FullRune(encoded[:n+1]) {
			r, size := utf8.DecodeRune(encoded[:n+1])
			if r == utf8.RuneError || size != n+1 {
				return 0, 0
			}
			return r, i
		}
	}
	return 0, 0
}

func percentByte(text []byte, i int) (c byte, end int) {
	if i >= len(text) || text[i] != '%' {
		return 0, 0
	}
	i++
	for i+3 < len(text) && text[i] == '2' && text[i+1] == '5' && isHex(text[i+2]) && isHex(text[i+3]) {
		i += 2
	}
	if i+1 >= len(text) || !isHex(text[i]) || !isHex(text[i+1]) {
		return 0, 0
	}
	return hexValue(text[i])<<4 | hexValue(text[i+1]), i + 2
}

// entityRune reads a character of HTML: &nbsp;, &#160; or &#xA0;.
func entityRune(text []byte, i int) (r rune, end int) {
	rest := text[i:min(len(text), i+12)]
	close := bytes.IndexByte(rest, ';')
	if close < 0 {
		return 0, 0
	}
	name := rest[1:close]
	switch {
	case string(name) == "nbsp":
		return ' ', i + close + 1
	case string(name) == "plus":
		return '+', i + close + 1
	case len(name) > 2 && name[0] == '#' && name[1]|0x20 == 'x':
		code, err := strconv.ParseUint(string(name[2:]), 16, 21)
		if err != nil {
			return 0, 0
		}
		return rune(code), i + close + 1
	case len(name) > 1 && name[0] == '#':
		code, err := strconv.ParseUint(string(name[1:]), 10, 21)
		if err != nil {
			return 0, 0
		}
		return rune(code), i + close + 1
	}
	return 0, 0
}

// escapedRune reads a character of a text that was escaped once more than it should have been: \u0031, \x31.
func escapedRune(text []byte, i int) (r rune, end int) {
	digits := 0
	switch {
	case i+1 >= len(text):
		return 0, 0
	case text[i+1] == 'u':
		digits = 4
	case text[i+1] == 'x':
		digits = 2
	case text[i+1] == 'n', text[i+1] == 't', text[i+1] == 'r':
		return ' ', i + 2
	}
	if digits == 0 || i+2+digits > len(text) {
		return 0, 0
	}
	code, err := strconv.ParseUint(string(text[i+2:i+2+digits]), 16, 16)
	if err != nil {
		return 0, 0
	}
	return rune(code), i + 2 + digits
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' }

func hexValue(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
