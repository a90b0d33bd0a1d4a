package text

import (
	"strings"
	"unicode"
)

// excerpt is how many characters of a text are shown.
const excerpt = 100

// Printable makes a single short line of a text that comes from anyone, without what would command a terminal.
func Printable(text string) string {
	n := 0
	for at := range text {
		if n++; n > excerpt {
			return Line(text[:at]) + "…"
		}
	}
	return Line(text)
}

// Line makes a single line, however long, of a text that comes from anyone, without what would command a terminal.
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
