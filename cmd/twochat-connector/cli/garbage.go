package cli

import (
	"runtime"
	"runtime/metrics"
)

// garbageShare is how much memory garbage may take in addition to what is in use, in hundredths of that, before it is
// collected. Little is in use, and most of it is text, which costs no work; so this saves memory at little CPU time.
//
// The less is in use, the more often that share is reached, and the less memory it saves. So garbage may take up to
// smallHeapShare as long as the heap stays below smallHeap. The share must not be larger: a heap may have grown by it
// before the next collection takes the new size into account.
const (
	garbageShare   = 25
	smallHeapShare = 50
	smallHeap      = 14 << 20
)

// heap is what the last collection of garbage found.
type heap struct {
	live  uint64 // bytes that are in use
	roots uint64 // bytes outside of the heap that are searched too; Go lets garbage take a share of them as well
}

// garbageNow is the share that garbage may take until the next collection.
func (h heap) garbageNow() int {
	if h.live >= smallHeap || h.live == 0 {
		return garbageShare
	}
	return min(smallHeapShare, max(garbageShare, int((smallHeap-h.live)*100/(h.live+h.roots))))
}

// heapNow reads what the last collection of garbage found.
func heapNow() heap {
	samples := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/globals:bytes"}, {Name: "/gc/scan/stack:bytes"},
	}
	metrics.Read(samples)
	return heap{live: samples[0].Value.Uint64(), roots: samples[1].Value.Uint64() + samples[2].Value.Uint64()}
}

// AfterCollections calls do after each collection of garbage from now on, as long as the process runs.
func AfterCollections(do func()) {
	type cycle struct{ do func() }
	var ended func(*cycle)
	ended = func(c *cycle) { // the collector found that nobody uses it, which it does in each collection
		c.do()
		runtime.SetFinalizer(c, ended)
	}
	runtime.SetFinalizer(&cycle{do}, ended)
}
