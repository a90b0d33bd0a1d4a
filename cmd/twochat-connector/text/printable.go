package text

import (
	"strings"
	"unicode"
)

// excerpt is the most characters of a text that are shown.
const excerpt = 100

// Printable turns a text of any origin into a single short line, without control characters, which could command a
// terminal.
func Printable(text string) string {
	n := 0
	for at := range text {
		if n++; n > excerpt {
			return Line(text[:at]) + "…"
		}
	}
	return Line(text)
}

// Line turns a text of any origin into a single line of any length, without control characters.
func Line(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsPrint(r):
			return r
		}
		return '\ufffd'
	}, text)
}
