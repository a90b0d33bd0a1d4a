package text

import (
	"strings"
	"unicode"
)

// Printable makes a single line of a text that comes from anyone, without what would command a terminal.
func Printable(text string) string {
	var out strings.Builder
	n := 0
	for _, r := range text {
		if n++; n > excerpt {
			out.WriteRune('…')
			break
		}
		switch {
		case unicode.IsSpace(r):
			out.WriteByte(' ')
		case unicode.IsPrint(r):
			out.WriteRune(r)
		default:
			out.WriteRune('\ufffd')
		}
	}
	return out.String()
}

// excerpt is how many characters of a text are shown.
const excerpt = 100
