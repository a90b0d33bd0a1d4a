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

// fileIsTerminal reports whether the character device has a window, as only a terminal does.
func fileIsTerminal(file *os.File) bool {
	_, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	return err == nil
}
