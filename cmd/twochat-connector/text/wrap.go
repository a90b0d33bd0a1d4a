package text

import (
	"strings"
	"unicode/utf8"
)

// Paragraph breaks a text into indented lines of at most a given width.
func Paragraph(text, indent string, most int) string {
	var out strings.Builder
	width := 0
	for word := range strings.FieldsSeq(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case width == 0:
			out.WriteString(indent)
			width = len(indent)
		case width+1+n > most:
			out.WriteString("\n" + indent)
			width = len(indent)
		default:
			out.WriteByte(' ')
			width++
		}
		out.WriteString(word)
		width += n
	}
	return out.String()
}
