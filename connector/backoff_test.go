package connector

import (
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	b := NewBackoff(time.Second, time.Minute)
	for range 3 {
		if first := b.Next(); first < time.Second/2 || first > 3*time.Second/2 {
			t.Errorf("the first wait is %v", first)
		}
		for range 100 {
			if wait := b.Next(); wait <= 0 || wait > 90*time.Second {
				t.Fatalf("a wait of %v", wait)
			}
		}
		if last := b.Next(); last < 30*time.Second {
			t.Errorf("the waits grow to %v only", last)
		}
		b.Reset()
	}
}
