package cli

import (
	"runtime"
	"testing"
	"time"
)

func TestHeap_garbageNow(t *testing.T) {
	for _, test := range []struct {
		name     string
		heap     heap
		expected int
	}{
		{"unknown", heap{}, 25},
		{"small", heap{live: 5 << 20}, 50},
		{"with room up to the bound", heap{live: 10 << 20}, 40},
		{"a share of the roots counts too", heap{live: 10 << 20, roots: 2 << 20}, 33},
		{"nearly at the bound", heap{live: 13 << 20}, 25},
		{"large", heap{live: 40 << 20}, 25},
	} {
		if got := test.heap.garbageNow(); got != test.expected {
			t.Errorf("%s: %d %%, want %d", test.name, got, test.expected)
		}
	}
}

func TestAfterCollections(t *testing.T) {
	collected := make(chan heap)
	done := make(chan struct{})
	defer close(done)
	AfterCollections(func() {
		select {
		case collected <- heapNow():
		case <-done:
		}
	})
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	deadline := time.After(10 * time.Second)
	for called := 0; called < 3; { // it is called again and again
		runtime.GC()
		select {
		case h := <-collected:
			if called++; h.live == 0 || h.roots == 0 {
				t.Errorf("the heap is %+v", h)
			}
		case <-again.C: // it is not called while it is being set up anew
		case <-deadline:
			t.Fatalf("it was called %d times", called)
		}
	}
}
