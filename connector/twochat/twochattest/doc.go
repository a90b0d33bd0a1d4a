// Package twochattest is a fake 2Chat that misbehaves like the real one, for tests of whatever reads 2Chat's message list.
//
// A Fake is an http.Handler; Start makes it listen. It answers GET /open/whatsapp/messages/{number}[/{remote}]?page_number=N
// and GET /open/info as 2Chat does: newest message first, a hundred a page, pages counted from 0, no cursor. Between any two
// requests its lists move (Drift): messages come on top, one or hundreds at once, or below the top, or with an old time;
// some are edited or deleted. Answers go wrong by chance (Options.Faults) or by script (Next). All of it follows from a seed.
//
// The Fake knows what it listed (Truth). An Audit holds the events that a consumer saw against it: what is lost, doubled, out
// of order, invented.
//
// To test a consumer: make a Fake with a seed, a Drift and Faults; let the consumer read from Server.URL for a while; call
// Quiet and wait until it rests; give each event that arrived, in the order of the log, to an Audit; expect Report.Clean.
//
// Numbers, people and conversations are invented. The package uses nothing but the standard library.
package twochattest
