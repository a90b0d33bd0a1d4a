package reader

import "time"

// Rules are the numbers of the reading algorithm (connector/README.md, Rules).
type Rules struct {
	// Page is how many messages a full page has (connector/README.md, Pages). Only rules about "a page's worth" depend on
	// it.
	Page int
	// Run is how many ground messages in a row end a walk.
	Run int
	// SlicePages and SliceBytes bound the memory of one walk: the pages that it holds at once, and their size in bytes.
	SlicePages int
	SliceBytes int
	// AheadBytes is how many bytes the pages of a walk and those read for the next one may have together. With the pages
	// for the next two walks, they may have only half as many.
	AheadBytes int
	// MinWindow is how many certified events that were delivered in order the seen window keeps at least, if there are
	// that many.
	MinWindow int
	// Capacity is how many events the seen window keeps at most. Only MinWindow and uncertified events may exceed it.
	Capacity int
	// Tail is how many certified keys a checkpoint carries in addition to all uncertified ones.
	Tail int
	// Floor is how many keys a floor or a horizon holds at most.
	Floor int
	// Rejects is how many quarantined messages are remembered.
	Rejects int
	// EmptyPolls is how many polls in a row have to find page 0 empty before the list counts as empty.
	EmptyPolls int
	// Checks is how often a list has to show nothing that was delivered before that is believed, and CheckOver the time
	// over which these checks are spread. BelowEnd is how many pages below the end of a list are read before it counts as
	// the end.
	Checks    int
	CheckOver time.Duration
	BelowEnd  int
	// Repeats is the number of walks in a row in which the same message has to be out of place before it counts as listed
	// twice permanently.
	Repeats int
	// SweepPages bounds one sweep; SweepDepth is how far back in time it looks. SweepStep is how many pages it reads in
	// one step, so that polls are not kept waiting.
	SweepPages int
	SweepStep  int
	SweepDepth time.Duration
}

// DefaultRules are the rules in force on the real API.
func DefaultRules() Rules {
	return Rules{
		Page: 100, Run: 20, SlicePages: 50, SliceBytes: 16 << 20, AheadBytes: 20 << 20,
		MinWindow: 500, Capacity: 20_000, Tail: 128, Floor: 100,
		Rejects:    1000,
		EmptyPolls: 3, Checks: 3, CheckOver: 10 * time.Minute, BelowEnd: 8, Repeats: 3, SweepPages: 200, SweepStep: 3,
		SweepDepth: 60 * time.Hour,
	}
}
