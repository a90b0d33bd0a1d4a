package text

import (
	"io"
	"os"
)

// IsTerminal reports whether output written there is likely read by a person.
func IsTerminal(to io.Writer) bool {
	file, ok := to.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
