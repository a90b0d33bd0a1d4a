package twochattest

import "time"

// Next scripts the answers to the next page requests, one each, whatever their number; the zero Fault is a good answer.
// It goes before faults by chance, and works while the Fake is quiet.
func (f *Fake) Next(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next = append(f.next, faults...)
}

// NextInfo is Next for /open/info.
func (f *Fake) NextInfo(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nextInfo = append(f.nextInfo, faults...)
}

// Quiet turns drift and faults by chance off: the lists stand still, so that a reader can come to rest.
func (f *Fake) Quiet() { f.setQuiet(true) }

// Resume turns drift and faults on again.
func (f *Fake) Resume() { f.setQuiet(false) }

func (f *Fake) setQuiet(quiet bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.quiet = quiet
}

// SetFaults changes what goes wrong by chance.
func (f *Fake) SetFaults(faults []Chance) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = faults
}

// SetLatency changes how long every answer takes.
func (f *Fake) SetLatency(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.latency = d
}
