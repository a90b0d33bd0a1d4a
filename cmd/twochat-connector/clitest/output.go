package clitest

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// ClosedPort is an address on which nothing listens, and that no other test gets.
func ClosedPort(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", sinktest.FreePorts(t, 1))
}

// Output is what a command has written so far.
type Output struct {
	// Width is how many columns its lines may have; 0 for any number, so that no sentence is folded.
	Width int

	mu   sync.Mutex
	text bytes.Buffer
}

// Columns is the width of the lines that are written to it.
func (o *Output) Columns() int {
	if o.Width == 0 {
		return math.MaxInt32
	}
	return o.Width
}

func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// WantText wants a text to hold all parts.
func WantText(t *testing.T, where, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s lacks %q: %.3000s", where, part, text)
		}
	}
}
