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

// Columns is how wide lines are to be on an output: as the terminal, within bounds; 80 where it is none. A writer may
// have a width of its own.
func Columns(out io.Writer) int {
	if sized, ok := out.(interface{ Columns() int }); ok {
		return sized.Columns()
	}
	if file, ok := out.(*os.File); ok {
		if columns := fileColumns(file); columns > 0 {
			return min(max(columns, narrowest), widest)
		}
	}
	return pipeColumns
}

// Print writes a text, its lines no wider than the output is.
func Print(to io.Writer, text string) error {
	_, err := io.WriteString(to, Fit(text, Columns(to)))
	return err
}

// Fit folds those lines of a text that are wider than a width in columns. A line goes on below its last column: below
// what follows the last gap of two spaces or more in its first half, or below the text behind its mark. What stands in
// backticks is not broken, so that a command can be copied whole, nor is any other word, such as a path or a URL.
func Fit(text string, columns int) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		line, ended := strings.CutSuffix(line, "\n")
		if Width(line) > columns {
			at := lastColumn(line, columns/2)
			line = Fold(line[at:], line[:at], columns)
		}
		out.WriteString(line)
		if ended {
			out.WriteByte('\n')
		}
	}
	return out.String()
}

// lineMarks stand before the text of a line.
var lineMarks = []string{"→ ", "· ", "- ", "✓ ", "✗ ", "! "}

// lastColumn is the byte of a line where its last column begins, within so many columns.
func lastColumn(line string, most int) int {
	at := len(line) - len(strings.TrimLeft(line, " "))
	for i := at; i < len(line) && Width(line[:i]) <= most; i++ {
		if i >= 2 && line[i-2:i] == "  " && line[i] != ' ' {
			at = i
		}
	}
	for _, mark := range lineMarks {
		if strings.HasPrefix(line[at:], mark) {
			return at + len(mark)
		}
	}
	return at
}

// Fold breaks a text into lines of a width in columns. The first begins with one text, the others with spaces of its
// width. What stands in backticks is not broken, so that a command can be copied whole.
func Fold(text, first string, columns int) string {
	return fold(text, first, strings.Repeat(" ", Width(plain(first))), columns)
}

// Hang is Fold of a text whose further lines have an indent.
func Hang(text, indent string, columns int) string { return fold(text, "", indent, columns) }

func fold(text, first, indent string, columns int) string {
	var out strings.Builder
	out.WriteString(first)
	at, empty := Width(plain(first)), true
	for _, word := range unbroken(text) {
		n, gap := Width(word.text), word.gap
		if !empty && at+gap+n > columns {
			out.WriteString("\n" + indent)
			at, empty = len(indent), true
		}
		if !empty {
			out.WriteString(strings.Repeat(" ", gap))
			at += gap
		}
		out.WriteString(word.text)
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

// word is a word of a text, with the number of spaces before it.
type word struct {
	text string
	gap  int
}

// unbroken splits a text into words, where all between two backticks is one.
func unbroken(text string) []word {
	var words []word
	open := false
	for rest := text; ; {
		from := strings.TrimLeft(rest, " \n\t")
		if from == "" {
			return words
		}
		one, gap := from, max(1, len(rest)-len(from))
		if end := strings.IndexAny(from, " \n\t"); end >= 0 {
			one = from[:end]
		}
		rest = from[len(one):]
		if open {
			words[len(words)-1].text += strings.Repeat(" ", gap) + one
		} else {
			words = append(words, word{one, gap})
		}
		if strings.Count(one, "`")%2 == 1 {
			open = !open
		}
	}
}
