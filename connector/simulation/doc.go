// Package simulation tests reading and committing in worlds that are worse than the real one. It contains only tests. A
// world is one seed: a list that moves between any two requests, requests that fail, a log whose answers are lost, late
// or arrive as ghosts, owners that crash before and after any effect, and twins. The invariants I1–I14 are checked at
// every append and at the end.
//
//	go test ./connector/simulation                        # 500 worlds, every crash point of a small one, the mutations
//	go test ./connector/simulation -worlds 100000 -first 0
//	go test ./connector/simulation -run TestWorlds -first 1974 -worlds 1 -v
package simulation
