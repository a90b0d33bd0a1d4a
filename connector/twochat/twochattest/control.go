package twochattest

import "time"

// Next scripts the answers to the next page requests, one each, for any number; the zero Fault is a good answer. It
// takes precedence over random faults, and works while the Fake is quiet.
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

// Quiet turns drift, random faults and Arrive off: the lists do not change, so that a reader can come to rest.
func (f *Fake) Quiet() { f.setQuiet(true) }

// Resume turns them on again.
func (f *Fake) Resume() { f.setQuiet(false) }

func (f *Fake) setQuiet(quiet bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.quiet = quiet
}

// Arrive puts a message on top of a list, as messages arrive by themselves; it does nothing while the Fake is quiet.
func (f *Fake) Arrive(number string) {
	at := f.options.Now().Unix()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.quiet {
		f.number(number).add(0, at, 0, 0)
	}
}

// SetFaults changes the random faults.
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
