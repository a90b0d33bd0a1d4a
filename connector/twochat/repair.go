package twochat

import "bytes"

// replacement replaces an escape that represents no character. It is the escape of U+FFFD, which has the same length.
const replacement = `\ufffd`

// repair replaces the escapes in a valid JSON text that strings of most languages, SQL databases and data frames cannot
// hold: \u0000, and surrogates without their other half. Every other byte stays in its place. If nothing has to be
// replaced, it returns text itself, else a copy.
func repair(text []byte) (readable []byte, repaired bool) {
	readable = text
	for i := 0; ; {
		next := bytes.IndexByte(text[i:], '\\')
		if next < 0 {
			return readable, repaired
		}
		i += next
		switch unit, ok := escaped(text[i:]); {
		case !ok:
			i += 2
			continue
		case unit >= 0xD800 && unit < 0xDC00:
			if low, ok := escaped(text[i+len(replacement):]); ok && low >= 0xDC00 && low < 0xE000 {
				i += 2 * len(replacement)
				continue
			}
		case unit != 0 && (unit < 0xDC00 || unit >= 0xE000):
			i += len(replacement)
			continue
		}
		if !repaired {
			readable, repaired = bytes.Clone(text), true
		}
		copy(readable[i:], replacement)
		i += len(replacement)
	}
}

// escaped is the UTF-16 unit of the escape in four hex digits at the beginning of a JSON text, if there is one.
func escaped(text []byte) (unit uint16, ok bool) {
	if len(text) < len(replacement) || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	for _, c := range text[2:len(replacement)] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		unit = unit<<4 | uint16(c)
	}
	return unit, true
}
