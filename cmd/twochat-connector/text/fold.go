package text

import (
	"io"
	"os"
	"strings"
)

const (
	// narrowest and widest bound the lines of prose on a terminal.
	narrowest, widest = 40, 110
	// pipeColumns is how wide lines are where no terminal says.
	pipeColumns = 80
)

// Columns is how wide lines are to be on an output: as the terminal, within bounds; 80 where it is none.
func Columns(out io.Writer) int {
	if file, ok := out.(*os.File); ok {
		if columns := fileColumns(file); columns > 0 {
			return min(max(columns, narrowest), widest)
		}
	}
	return pipeColumns
}

// Fold breaks a text into lines of a width in columns. The first begins with one text, the others with spaces of its
// width. What stands in backticks is not broken, so that a command can be copied whole.
func Fold(text, first string, columns int) string {
	indent := strings.Repeat(" ", Width(plain(first)))
	var out strings.Builder
	out.WriteString(first)
	at, empty := len(indent), true
	for _, word := range unbroken(text) {
		n := Width(word)
		if !empty && at+1+n > columns {
			out.WriteString("\n" + indent)
			at, empty = len(indent), true
		}
		if !empty {
			out.WriteByte(' ')
			at++
		}
		out.WriteString(word)
		at, empty = at+n, false
	}
	return out.String()
}

// plain is a text without what colours it.
func plain(text string) string {
	for {
		begin := strings.Index(text, "\x1b[")
		if begin < 0 {
			return text
		}
		end := strings.IndexByte(text[begin:], 'm')
		if end < 0 {
			return text
		}
		text = text[:begin] + text[begin+end+1:]
	}
}

// unbroken splits a text into words, where all between two backticks is one.
func unbroken(text string) []string {
	var words []string
	open := false
	for word := range strings.FieldsSeq(text) {
		if open {
			words[len(words)-1] += " " + word
		} else {
			words = append(words, word)
		}
		if strings.Count(word, "`")%2 == 1 {
			open = !open
		}
	}
	return words
}
