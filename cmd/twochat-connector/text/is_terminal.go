package text

import (
	"io"
	"os"
)

// IsTerminal reports whether output written there is likely read by a person. /dev/null is a character device as well,
// but nobody reads it.
func IsTerminal(to io.Writer) bool {
	file, ok := to.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && fileIsTerminal(file)
}
