package cli

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// What is not used after the start leaves the memory, and the program goes on.
func TestReleaseInstructions(t *testing.T) {
	before := instructionsInMemory(t)
	ReleaseInstructions()
	// What measures it is in memory again; a repetition of the test begins with little more than that.
	if after := instructionsInMemory(t); after == 0 || after > max(before/2, 2048) {
		t.Errorf("%d kB of instructions in memory, after %d", after, before)
	}
}

// instructionsInMemory is how many kilobytes of the program's instructions are in memory.
func instructionsInMemory(t *testing.T) (sum int) {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	instructions := false
	for line := range strings.Lines(string(maps)) {
		fields := strings.Fields(line)
		switch {
		case len(fields) > 4 && !strings.HasSuffix(fields[0], ":"): // the first line of a mapping
			instructions = fields[1] == "r-xp" && strings.HasPrefix(fields[len(fields)-1], "/")
		case instructions && fields[0] == "Rss:":
			var kilobytes int
			if _, err := fmt.Sscan(fields[1], &kilobytes); err != nil {
				t.Fatal(err)
			}
			sum += kilobytes
		}
	}
	return sum
}
