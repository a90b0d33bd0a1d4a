package connector

// Promise is the delivery guarantee of a sink, for `explain` and the start log.
type Promise struct {
	// Once is true if each message is stored exactly once, whenever a process crashes.
	Once bool `json:"once"`
	// Text is the guarantee in one sentence, including for whom it holds.
	Text string `json:"text"`
	// Exceptions lists what can still be lost or duplicated, one sentence each.
	Exceptions []string `json:"but,omitempty"`
}
