package sinktest

import (
	"strings"
	"testing"
	"testing/synctest"
)

// A goroutine belongs to the case that began it, even through another goroutine that has ended. Goroutines of others do
// not.
func TestBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scene{T: t}
		end := make(chan struct{})
		wait := func() { <-end }
		go wait()
		var one, two begun
		two.by(s, func() { go wait() })
		one.by(s, func() {
			go func() { go waitBelow(end) }()
			synctest.Wait()
			if left := one.running(s); strings.Count(left, " @ ") != 1 || !strings.Contains(left, "waitBelow") {
				t.Errorf("running: %q", left)
			}
		})
		close(end)
		synctest.Wait()
		for _, b := range []*begun{&one, &two} {
			if left := b.running(s); left != "" {
				t.Errorf("ended, and still found: %s", left)
			}
		}
	})
}

func waitBelow(end chan struct{}) { <-end }
