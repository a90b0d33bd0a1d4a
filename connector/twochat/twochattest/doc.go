// Package twochattest is a fake 2Chat that misbehaves like the real one, for tests of programs that read 2Chat's
// message lists.
//
// A Fake is an http.Handler. Start makes it listen on loopback; Transport answers without a network. It serves GET
// /open/whatsapp/messages/{number}[/{remote}]?page_number=N and GET /open/info with the header X-User-API-Key as 2Chat
// does: newest message first, a hundred a page, pages counted from 0, no cursor, a credit for every call.
//
// Between any two requests its lists move (Drift): messages are added on top, one or hundreds at once, or below the
// top, or with an old time; some are edited under their uuid, completed later, deleted; a list may be replaced by
// another. Items have all the shapes that the API is known to return (ShapesMixed), and some are Poison, which no
// reader can use. Answers fail at random (Options.Faults, PassingFaults) or by script (Fake.Next): statuses in three
// body shapes, broken, endless and slow bodies, pages other than the one requested.
//
// All of it follows from Options.Seed: the same seed and the same order of requests and calls for a number give the
// same answers about that number. Only delays are in real time.
//
// The Fake knows what it listed (Truth). An Audit compares it with the events that a consumer saw: what is lost,
// duplicated, out of order, missing in the sequence, or invented.
//
// Control steers a Fake over HTTP, for tests in other languages: twochat-connector fake serves both.
//
// # Testing a consumer
//
// Make a Fake with a seed, a Drift and Faults. Let the consumer read from Server.URL for a while; kill and restart it
// as you like. Call Quiet and wait until it rests. Pass each event that arrived, in the order of your log, to an Audit:
// See, or SeeCloudEvent for the events of twochat-connector. Expect Report.Clean, and print the Report if it is not
// clean; then try other seeds. Three settings of an Audit depend on the consumer: From, if it began with the newest
// messages only (see Fake.FirstRead); Remote, if it read the list of one remote number; Compact, if its log puts each
// event on one line, as some items have line breaks between their tokens.
//
// Numbers, people and conversations are invented. The package uses nothing but the standard library.
package twochattest
