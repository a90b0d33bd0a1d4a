package reader

import "time"

// Rules are the numbers of the reading algorithm (connector/README.md, Rules).
type Rules struct {
	// Page is how many messages a full page has (connector/README.md, Pages). Only the rules that ask for "a page's worth"
	// depend on it.
	Page int
	// Run is how many ground messages in a row end a walk.
	Run int
	// SlicePages and SliceBytes bound what one walk may hold in memory.
	SlicePages int
	SliceBytes int
	// Memory is how many certified events delivered in order the seen window keeps at least, as far as there are.
	Memory int
	// Capacity is how many events the seen window keeps at most; it may be exceeded only by what Memory and the
	// uncertified ask.
	Capacity int
	// Tail is how many certified keys a checkpoint carries beside all uncertified ones.
	Tail int
	// Floor is how many keys a floor or a horizon holds at most.
	Floor int
	// Rejects is how many quarantined messages are remembered.
	Rejects int
	// EmptyPolls is how many polls in a row must find page 0 empty before the list counts as empty.
	EmptyPolls int
	// Looks is how many looks at a list that shows nothing of what was delivered it takes to believe it, and LookOver over
	// how long. BelowEnd is how many pages below the end of a list are asked for before it counts as one.
	Looks    int
	LookOver time.Duration
	BelowEnd int
	// Repeats is how many walks in a row the same message must stand out of place before it counts as listed twice for
	// good.
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
		Page: 100, Run: 20, SlicePages: 50, SliceBytes: 16 << 20, Memory: 500, Capacity: 20_000, Tail: 128, Floor: 100,
		Rejects:    1000,
		EmptyPolls: 3, Looks: 3, LookOver: 10 * time.Minute, BelowEnd: 8, Repeats: 3, SweepPages: 200, SweepStep: 3,
		SweepDepth: 60 * time.Hour,
	}
}
