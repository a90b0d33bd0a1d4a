package twochat

import (
	"encoding/binary"
	"encoding/json"
	"math/bits"
)

// maxDepth is how deeply an item, and the page around the items, may be nested. Consumers parse events with libraries
// of every language, some of which fail at 128 levels or at the end of their stack.
const maxDepth = 100

// scanner checks a JSON document strictly by RFC 8259 and finds values in it, in one pass and without decoding: its
// results are positions. Its methods take the position where a value begins and return the one after its end, or -1 if
// the text is not JSON. Strings may hold invalid UTF-8 (as with encoding/json); high tells whether to check.
type scanner struct {
	data []byte
	// high has a top bit set in some byte once a string held a byte beyond ASCII. Other bytes may set it too.
	high uint64
	// deep means that something was nested deeper than maxDepth. It was scanned nevertheless, to find its end.
	deep bool
	// halves means that there is an escape that may need repair: of U+0000 or of a surrogate.
	halves bool
}

// span is a range of the document; the empty span means that there is none.
type span struct{ from, to int32 }

func (p span) of(data []byte) []byte { return data[p.from:p.to:p.to] }

func (p span) found() bool { return p.to > p.from }

const (
	eachByte = 0x0101010101010101
	topBits  = 0x80 * eachByte
)

// space returns the first position at or after i that is not white space.
func (s *scanner) space(i int) int {
	data := s.data
	for i < len(data) && (data[i] == ' ' || data[i] == '\n' || data[i] == '\t' || data[i] == '\r') {
		i++
	}
	return i
}

// value scans any value; depth is the number of containers around it.
func (s *scanner) value(i, depth int) int {
	if i >= len(s.data) {
		return -1
	}
	switch c := s.data[i]; {
	case c == '"':
		return s.text(i)
	case c == '{':
		return s.object(i, depth, nil)
	case c == '[':
		return s.array(i, depth, nil)
	case c == '-' || c >= '0' && c <= '9':
		return s.number(i)
	case c == 't':
		return s.word(i, "true")
	case c == 'f':
		return s.word(i, "false")
	case c == 'n':
		return s.word(i, "null")
	}
	return -1
}

func (s *scanner) word(i int, word string) int {
	if len(s.data)-i < len(word) || string(s.data[i:i+len(word)]) != word {
		return -1
	}
	return i + len(word)
}

// object scans an object. member, if not nil, gets each key (with its quotes) and scans the value itself.
func (s *scanner) object(i, depth int, member func(key span, value int) int) int {
	if depth++; depth > maxDepth {
		return s.container(i)
	}
	data := s.data
	if i = s.space(i + 1); i < len(data) && data[i] == '}' {
		return i + 1
	}
	for {
		if i >= len(data) || data[i] != '"' {
			return -1
		}
		key := i
		if i = s.text(i); i < 0 {
			return -1
		}
		end := i
		if i = s.space(i); i >= len(data) || data[i] != ':' {
			return -1
		}
		i = s.space(i + 1)
		if member != nil {
			i = member(span{int32(key), int32(end)}, i)
		} else {
			i = s.value(i, depth)
		}
		next, last := s.after(i, '}')
		if last {
			return next
		}
		i = next
	}
}

// array scans an array. element, if not nil, scans each element itself.
func (s *scanner) array(i, depth int, element func(value int) int) int {
	if depth++; depth > maxDepth {
		return s.container(i)
	}
	data := s.data
	if i = s.space(i + 1); i < len(data) && data[i] == ']' {
		return i + 1
	}
	for {
		if element != nil {
			i = element(i)
		} else {
			i = s.value(i, depth)
		}
		next, last := s.after(i, ']')
		if last {
			return next
		}
		i = next
	}
}

// container scans an object or array of any depth. One deep item must neither make a page unreadable nor exhaust the
// stack.
func (s *scanner) container(i int) int {
	s.deep = true
	data := s.data
	var closing []byte // of the containers that are open, the outermost first
	for i < len(data) {
		switch c := data[i]; c {
		case '{', '[':
			if i++; c == '[' {
				closing = append(closing, ']')
			} else {
				closing = append(closing, '}')
			}
			if i = s.space(i); i < len(data) && data[i] == closing[len(closing)-1] {
				break // it is empty
			}
			if i = s.name(i, closing); i < 0 {
				return -1
			}
			continue
		default:
			if i = s.value(i, 0); i < 0 {
				return -1
			}
		}
		// A value has ended, or an empty container is about to: skip commas and closing brackets up to the next value.
		for {
			if i = s.space(i); i >= len(data) {
				return -1
			}
			if data[i] != closing[len(closing)-1] {
				break
			}
			i++
			if closing = closing[:len(closing)-1]; len(closing) == 0 {
				return i
			}
		}
		if data[i] != ',' {
			return -1
		}
		if i = s.name(s.space(i+1), closing); i < 0 {
			return -1
		}
	}
	return -1
}

// name skips a member's name and colon if the innermost open container is an object.
func (s *scanner) name(i int, closing []byte) int {
	if closing[len(closing)-1] == ']' {
		return i
	}
	if i >= len(s.data) || s.data[i] != '"' {
		return -1
	}
	if i = s.text(i); i < 0 {
		return -1
	}
	if i = s.space(i); i >= len(s.data) || s.data[i] != ':' {
		return -1
	}
	return s.space(i + 1)
}

// after skips what follows a member or an element that ends at i. After a comma, next is where another one begins;
// after the closing bracket, next is behind it and last is true. Otherwise next is -1 and last is true.
func (s *scanner) after(i int, closing byte) (next int, last bool) {
	if i < 0 {
		return -1, true
	}
	if i = s.space(i); i >= len(s.data) {
		return -1, true
	}
	switch s.data[i] {
	case ',':
		return s.space(i + 1), false
	case closing:
		return i + 1, true
	}
	return -1, true
}

// text scans a string. Most of a page is text, so it proceeds by eight bytes: the usual bit trick finds the first byte
// of a word that is a quote, a backslash or a control character (borrows can only cause false alarms above a true one).
func (s *scanner) text(i int) int {
	data := s.data
	high := s.high
	i++
	for {
		for len(data)-i >= 8 {
			w := binary.LittleEndian.Uint64(data[i:])
			quote, slash := w^('"'*eachByte), w^('\\'*eachByte)
			special := ((quote-eachByte)&^quote | (slash-eachByte)&^slash | (w-0x20*eachByte)&^w) & topBits
			high |= w
			if special != 0 {
				i += bits.TrailingZeros64(special) >> 3
				break
			}
			i += 8
		}
		if i >= len(data) {
			return -1
		}
		switch c := data[i]; {
		case c == '"':
			s.high = high
			return i + 1
		case c == '\\':
			if i = s.escape(i); i < 0 {
				return -1
			}
		case c < 0x20:
			return -1
		default:
			high |= uint64(c)
			i++
		}
	}
}

// escape checks the escape sequence at i.
func (s *scanner) escape(i int) int {
	data := s.data
	if len(data)-i < 2 {
		return -1
	}
	switch data[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		if len(data)-i < 6 {
			return -1
		}
		for _, c := range data[i+2 : i+6] {
			if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
				return -1
			}
		}
		if high := data[i+2]; high|0x20 == 'd' && data[i+3] > '7' || high == '0' && string(data[i+3:i+6]) == "000" {
			s.halves = true
		}
		return i + 6
	}
	return -1
}

// number scans a number. The caller judges what follows it.
func (s *scanner) number(i int) int {
	data := s.data
	if data[i] == '-' {
		i++
	}
	if i < len(data) && data[i] == '0' {
		i++
	} else if i = s.digits(i); i < 0 {
		return -1
	}
	if i < len(data) && data[i] == '.' {
		if i = s.digits(i + 1); i < 0 {
			return -1
		}
	}
	if i < len(data) && data[i]|0x20 == 'e' {
		i++
		if i < len(data) && (data[i] == '+' || data[i] == '-') {
			i++
		}
		return s.digits(i)
	}
	return i
}

// digits scans one digit or more.
func (s *scanner) digits(i int) int {
	from := i
	for i < len(s.data) && s.data[i] >= '0' && s.data[i] <= '9' {
		i++
	}
	if i == from {
		return -1
	}
	return i
}

// unquote returns the content of a JSON string. It allocates only if the string has escapes.
func unquote(quoted []byte) []byte {
	inner := quoted[1 : len(quoted)-1]
	for _, c := range inner {
		if c == '\\' {
			var text string
			if json.Unmarshal(quoted, &text) != nil {
				return nil // the scanner has verified that it is a string
			}
			return []byte(text)
		}
	}
	return inner
}

// stringAt returns the content of the value at p if it is a string, or nil.
func stringAt(data []byte, p span) []byte {
	if !p.found() || data[p.from] != '"' {
		return nil
	}
	return unquote(p.of(data))
}
