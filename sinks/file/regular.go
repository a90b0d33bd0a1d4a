package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/twochat-connector/twochat-connector/connector"
)

// regular checks that a path may be opened: it has to be a regular file, or not exist yet. Opening a named pipe would
// wait for a reader, and opening a dangling link creates no file if its folder is missing.
func regular(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if link, err := os.Lstat(path); err == nil && link.Mode()&fs.ModeSymlink != 0 {
			return &connector.Refusal{
				Thing: "file " + path, Cause: "it is a link to a file that does not exist",
				Hint: "create the file that it points to, or remove the link",
			}
		}
		return nil
	case err != nil:
		return fmt.Errorf("look at the file: %w", plain(err))
	case !info.Mode().IsRegular():
		return irregular(path)
	}
	return nil
}

// irregular is the refusal of a folder, a pipe or a device instead of the file.
func irregular(path string) error {
	return &connector.Refusal{
		Thing: "file " + path, Cause: "it is not a regular file",
		Hint: "name a regular file; for pipes there is the sink stdout",
	}
}

// notFolder is the refusal of anything else in the place of the folder of checkpoints.
func notFolder(dir string) error {
	return &connector.Refusal{
		Thing: "folder " + dir, Cause: "it is not a folder",
		Hint: "move it away, or give the events another path",
	}
}
