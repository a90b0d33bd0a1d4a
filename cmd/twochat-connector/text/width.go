package text

import (
	"io"
	"os"
	"strings"
	"unicode"
)

// plainWidth is the width of a line if the width of the terminal is not known.
const plainWidth = 120

// TerminalWidth is the width of a line in columns.
func TerminalWidth(out io.Writer) int {
	if file, ok := out.(*os.File); ok {
		if columns := fileColumns(file); columns > 0 {
			return columns
		}
	}
	return plainWidth
}

// Clip cuts a text to a width in columns.
func Clip(text string, columns int) string {
	if Width(text) <= columns {
		return text
	}
	var out strings.Builder
	left := columns - 1 // for the ellipsis
	for _, r := range text {
		if left -= runeWidth(r); left < 0 {
			break
		}
		out.WriteRune(r)
	}
	if columns > 0 {
		out.WriteRune('…')
	}
	return out.String()
}

// Width is the width of a text in columns.
func Width(text string) int {
	columns := 0
	for _, r := range text {
		columns += runeWidth(r)
	}
	return columns
}

// wide are the scripts and symbols that take two columns (Unicode TR 11), accurate enough for a demo.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x1100, Hi: 0x115f, Stride: 1},
		{Lo: 0x2614, Hi: 0x2615, Stride: 1},
		{Lo: 0x2e80, Hi: 0xa4cf, Stride: 1},
		{Lo: 0xac00, Hi: 0xd7a3, Stride: 1},
		{Lo: 0xf900, Hi: 0xfaff, Stride: 1},
		{Lo: 0xfe30, Hi: 0xfe6f, Stride: 1},
		{Lo: 0xff00, Hi: 0xff60, Stride: 1},
	},
	R32: []unicode.Range32{{Lo: 0x1f300, Hi: 0x1faff, Stride: 1}, {Lo: 0x20000, Hi: 0x3fffd, Stride: 1}},
}

func runeWidth(r rune) int {
	switch {
	case unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Cf, r):
		return 0
	case unicode.Is(wide, r):
		return 2
	}
	return 1
}
