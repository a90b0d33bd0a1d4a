package reader

import (
	"fmt"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

// BenchmarkWindow looks up a page's worth of messages in a window, half of them unknown, and appends as many to it,
// which makes it forget as many. Its baseline does the same with a map and a list, without any rule.
func BenchmarkWindow(b *testing.B) {
	const page = 100
	for _, size := range []int{200, 20_000} {
		keys := make([]connector.Key, 4*size+page)
		for i := range keys {
			keys[i] = connectortest.Key(uint64(i))
		}
		b.Run(fmt.Sprintf("events=%d", size), func(b *testing.B) {
			w := newWindow(Rules{Capacity: size, MinWindow: size / 2, Tail: 128}, connector.State{})
			next := 0
			put := func() {
				w.put(keys[next%len(keys)], newPosition(w.last+1, false))
				next++
			}
			for range size {
				put()
			}
			w.certify(w.last)
			b.ReportAllocs()
			for b.Loop() {
				known := 0
				for i := range page {
					if _, ok := w.position(keys[(next+i-page/2)%len(keys)]); ok {
						known++
					}
				}
				if known != page/2 {
					b.Fatal(known)
				}
				for range page {
					put()
				}
				w.certify(w.last)
				w.forget()
			}
		})
		b.Run(fmt.Sprintf("map/events=%d", size), func(b *testing.B) {
			places, order := make(map[connector.Key]position, size), make([]connector.Key, 0, size)
			next := 0
			put := func() {
				key := keys[next%len(keys)]
				places[key] = newPosition(uint64(next), false)
				order = append(order, key)
				next++
			}
			for range size {
				put()
			}
			b.ReportAllocs()
			for b.Loop() {
				known := 0
				for i := range page {
					if _, ok := places[keys[(next+i-page/2)%len(keys)]]; ok {
						known++
					}
				}
				if known != page/2 {
					b.Fatal(known)
				}
				for range page {
					put()
					delete(places, order[0])
					order = order[1:]
				}
			}
		})
	}
}
