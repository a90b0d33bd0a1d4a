//go:build unix

package text

import (
	"os"

	"golang.org/x/sys/unix"
)

// fileColumns is the width of a terminal; 0 if the file is not a terminal.
func fileColumns(file *os.File) int {
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Col)
}
