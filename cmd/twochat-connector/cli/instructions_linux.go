package cli

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// ReleaseInstructions gives back the memory of the program's own instructions. The kernel maps them in pieces of several
// pages, so that once the program has started, most of what is mapped is not used. What is used again is mapped again
// from the program's file, which costs less than a millisecond in all. Nothing can be lost, as nobody writes to
// instructions. If the kernel refuses, they stay.
func ReleaseInstructions() {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(maps)) {
		// The fields are the range, the rights, three numbers and the file (proc_pid_maps(5)).
		fields := strings.Fields(line)
		if len(fields) < 6 || fields[1] != "r-xp" || !strings.HasPrefix(fields[5], "/") {
			continue
		}
		first, last, _ := strings.Cut(fields[0], "-")
		from, err := strconv.ParseUint(first, 16, strconv.IntSize)
		if err != nil {
			continue
		}
		to, err := strconv.ParseUint(last, 16, strconv.IntSize)
		if err != nil || to < from {
			continue
		}
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, uintptr(from), uintptr(to-from), syscall.MADV_DONTNEED)
	}
}
