package text

import (
	"io"
	"os"
)

// IsTerminal reports whether a person is likely to read what is written there.
func IsTerminal(to io.Writer) bool {
	file, ok := to.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
