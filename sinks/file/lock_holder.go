package file

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// holder is the process that has a lock, as Linux tells it; 0 if that is not known, as on other systems, or if the
// process is not among those that this one can see, as in another container.
func holder(path string) int {
	locks, err := os.Open("/proc/locks")
	if err != nil {
		return 0
	}
	defer locks.Close() // only read
	for lines := bufio.NewScanner(locks); lines.Scan(); {
		// A file system may give the device another number than the file has.
		var pid, major, minor, inode int
		_, words, _ := strings.Cut(lines.Text(), ": FLOCK  ADVISORY  WRITE ")
		if n, err := fmt.Sscanf(words, "%d %x:%x:%d ", &pid, &major, &minor, &inode); n == 4 && err == nil && pid > 1 &&
			hasOpen(pid, path, inode) {
			return pid
		}
	}
	return 0
}

// hasOpen reports whether a process has a file open, which has this inode.
func hasOpen(pid int, path string, inode int) bool {
	wanted, err := os.Stat(path)
	if err != nil || inodeOf(wanted) != inode {
		return false
	}
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, entry := range entries {
		if open, err := os.Stat(dir + "/" + entry.Name()); err == nil && os.SameFile(open, wanted) {
			return true
		}
	}
	return false
}
