package simulation

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// settings are drawn from a seed: they determine how hard the world is.
type settings struct {
	page, slice, run, memory, history, ties          int
	inserts, bursts, late, backdated, deletes, fault float64
	burst, lateDepth, deleteDepth, deleteAge, older  int
	crash, lost, ghost, busy, reject                 float64
	erase, request, replaced, expire                 float64
	poison, glitch, repeats, runs, word              float64
	lies                                             float64  // how often the API begins to lie
	lie                                              []string // the kinds of lies
	// early is how often its list ends too early before the log holds ground.
	early                              float64
	sweep, sweepPages, polls, replicas int
	begin                              string // now, beginning, since
	unguarded                          bool   // a mutation: the log takes commits from anybody
	gap                                int    // a page that is empty for good; 0: none
}

func pick[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

// plain draws a world like those of walk_model.py. hard adds the troubles of its hard worlds, and more.
func plain(r *rand.Rand) settings {
	return settings{
		page: 10, slice: pick(r, 6, 8, 12), run: pick(r, 3, 5, 8), memory: pick(r, 50, 300, 600),
		history: pick(r, 0, 5, 90, 600),
		ties:    pick(r, 1, 3), inserts: pick(r, .05, .3, .8), bursts: pick(r, 0, .01, .03), burst: pick(r, 60, 300),
		late: pick(r, 0, .03, .1), lateDepth: pick(r, 3, 20), backdated: pick(r, 0, .02), deletes: pick(r, 0, .01, .05),
		deleteDepth: pick(r, 30, 400), deleteAge: 60, older: 100, crash: pick(r, 0, .003, .01), fault: pick(r, 0, .05),
		lost: pick(r, 0, .02, .05), ghost: pick(r, 0, .02, .05), busy: pick(r, 0, .05), sweep: pick(r, 7, 20),
		sweepPages: pick(r, 12, 40),
		polls:      300, replicas: pick(r, 1, 1, 2), begin: "beginning",
	}
}

// lateRuns draws a plain world in which runs of late messages are added, of any length and in any place.
func lateRuns(r *rand.Rand) settings {
	s := plain(r)
	s.runs, s.late, s.history, s.memory = pick(r, .003, .02), pick(r, 0, .05), pick(r, 90, 600), pick(r, 300, 600, 2000)
	s.sweepPages = 200
	return s
}

func hard(r *rand.Rand) settings {
	s := plain(r)
	for _, trouble := range troubles {
		trouble.set(r, &s)
	}
	return s
}

// accepting draws a plain world whose list is replaced by another one at times, and whose operator asks at some starts,
// at all, or at none that held messages are delivered.
func accepting(r *rand.Rand) settings {
	s := plain(r)
	s.replaced, s.word, s.begin, s.older = pick(r, .001, .003), pick(r, .3, .5, .5, 1),
		pick(r, "now", "beginning", "since"), 400
	s.crash, s.deletes, s.memory, s.polls = pick(r, .003, .01), pick(r, 0, .01), pick(r, 300, 600), 600
	s.runs = pick(r, 0, .003)
	return s
}

// erasing draws a world of late runs in which chats are erased on request. Whatever was erased stays known: it is not
// delivered again, and what is late beside it is found as in any other world.
func erasing(r *rand.Rand) settings {
	s := lateRuns(r)
	s.request, s.crash, s.deletes = pick(r, .1, .3), pick(r, .003, .01), 0 // batches may hide what is deleted
	return s
}

// gaps draws a plain world with a page that stays empty for good in the midst of its list.
func gaps(r *rand.Rand) settings {
	s := plain(r)
	s.gap, s.history, s.begin = r.IntN(40)+1, pick(r, 90, 600), pick(r, "beginning", "since")
	return s
}

type trouble struct {
	name string
	set  func(*rand.Rand, *settings)
}

// troubles make a world hard; -with selects some of them, to find out which one makes a seed fail.
var troubles = []trouble{
	{"erase", func(r *rand.Rand, s *settings) { s.erase = pick(r, 0, 0, .1) }},
	{"replaced", func(r *rand.Rand, s *settings) { s.replaced = pick(r, 0, 0, .002) }},
	{"expire", func(r *rand.Rand, s *settings) { s.expire = pick(r, 0, 0, .02) }},
	{"begin", func(r *rand.Rand, s *settings) { s.begin = pick(r, "now", "beginning", "since") }},
	{"poison", func(r *rand.Rand, s *settings) { s.poison = pick(r, 0, .02) }},
	{"reject", func(r *rand.Rand, s *settings) { s.reject = pick(r, 0, .01) }},
	{"glitch", func(r *rand.Rand, s *settings) { s.glitch = pick(r, 0, .01) }},
	{"repeats", func(r *rand.Rand, s *settings) { s.repeats = pick(r, 0, 0, .002) }},
	{"lies", func(r *rand.Rand, s *settings) { s.lies, s.lie = pick(r, 0, 0, .002, .01), ways[:4] }},
}

// lying draws a plain world whose API lies at times, in one way.
func lying(r *rand.Rand) settings {
	s := plain(r)
	s.lies, s.lie, s.begin = pick(r, .003, .01, .03), []string{pick(r, ways[:]...)}, pick(r, "now", "beginning", "since")
	s.early = pick(r, 0, .005, .02)
	return s
}

// residue is the known limit of reading by which a message is hidden.
type residue int

const (
	none residue = iota
	// ofWalks: two walks that began below page 0, on a list that never stopped moving, with a deletion above the message
	// in both of them (connector/README.md, What reading can still hide).
	ofWalks
	// ofGroups: a batch of pages, while two messages were deleted above, or one was deleted and another added late
	// (parallel.go).
	ofGroups
	// ofPieces: a reading from the end of the list upward during which a message above was deleted (span.go).
	ofPieces
)

// item is one message of the world. Its number in world.items grows with every insert.
type item struct {
	born         int
	time         int // seconds
	late, poison bool
	observed     bool
	uuid         string
	key          connector.Key
	data         []byte
	sequence     uint64 // in the log; 0 = not there
	refused      bool   // by the sink
	held         bool
	backdated    bool
	residue      residue
	twice        bool // one of its rows is listed a second time
	// lies is where it was inserted into the list: the newest message at or below it that was not added late.
	lies int
}

// alteration is a change of the list other than a message on top: a deletion, or a message that was added late.
type alteration struct {
	now, lies int
	deleted   bool
}

// world is the list as 2Chat would hold it.
type world struct {
	rng   *rand.Rand
	cfg   settings
	items []item
	list  []int // newest first, numbers of items
	now   int   // requests so far
	calls int
	quiet bool
	// unwanted are the items that the first start does not want.
	unwanted map[int]bool
	replaced bool
	since    time.Time // of the first start
	lie      lie
	grounded bool // the log holds ground
	altered  []alteration
	timeless bool // no message has a readable time
}

func newWorld(rng *rand.Rand, cfg settings) *world {
	w := &world{rng: rng, cfg: cfg, unwanted: map[int]bool{}}
	for range cfg.history {
		w.insert(0)
	}
	return w
}

func (w *world) chance(p float64) bool { return p > 0 && w.rng.Float64() < p }

func (w *world) between(low, high int) int { return low + w.rng.IntN(high-low+1) }

func (w *world) insert(position int) {
	n := len(w.items)
	it := item{born: w.now, time: n/w.cfg.ties + 1, poison: w.chance(w.cfg.poison), lies: n}
	if position > 0 && len(w.list) > 0 {
		position = min(position, len(w.list)-1)
		below := &w.items[w.list[position]]
		it.time, it.late, it.lies = below.time, true, below.lies
		w.altered = append(w.altered, alteration{now: w.now, lies: it.lies})
	} else {
		position = 0
	}
	it.uuid = uuid(n)
	it.key, it.data = connector.MessageKey(it.uuid), fmt.Appendf(nil, `{"uuid":%q}`, it.uuid)
	w.items = append(w.items, it)
	w.list = slices.Insert(w.list, position, n)
}

// move changes the list as may happen between two requests.
func (w *world) move() {
	w.now++
	if w.quiet {
		return
	}
	cfg := &w.cfg
	if w.chance(cfg.inserts) {
		for range w.between(1, 4) {
			w.insert(0)
		}
	}
	if w.chance(cfg.bursts) {
		n := w.between(20, cfg.burst)
		if w.rng.IntN(2) == 0 {
			n = cfg.page * w.between(1, 6)
		}
		for range n {
			w.insert(0)
		}
	}
	if w.chance(cfg.late) {
		w.insert(w.between(1, cfg.lateDepth))
	}
	if w.chance(cfg.runs) {
		at := w.between(1, max(1, len(w.list)-1))
		for range pick(w.rng, 1, 2, cfg.page-1, cfg.page, cfg.page+1, w.between(1, 8*cfg.page)) {
			w.insert(at)
		}
	}
	if w.chance(cfg.backdated) { // on top, with the time of an older message, as from a phone that was offline
		w.insert(0)
		w.items[w.list[0]].backdated = true
		w.items[w.list[0]].time = w.items[w.list[min(len(w.list)-1, w.between(1, 400))]].time
	}
	if w.chance(cfg.repeats) && len(w.list) > 1 { // a row that is listed twice permanently
		at := w.rng.IntN(min(len(w.list), 40))
		w.items[w.list[at]].twice = true
		w.list = slices.Insert(w.list, min(len(w.list), at+w.between(0, w.cfg.page)), w.list[at])
	}
	if w.chance(cfg.replaced) { // a number was connected again, or a chat cleared: other messages, some of them old
		w.list, w.replaced = nil, true
		newest := len(w.items) / cfg.ties
		for i := range pick(w.rng, 0, 30, 300) {
			w.insert(0)
			w.items[w.list[0]].time = max(1, newest-w.cfg.older+i)
		}
	}
	if w.chance(cfg.deletes) {
		n := 1
		if w.rng.Float64() >= .8 {
			n = w.between(2, 8)
		}
		for range n {
			w.delete()
		}
	}
}

// delete removes a message, but none so young that it could have been added and deleted within one walk: such a message
// could not have been read.
func (w *world) delete() {
	if len(w.list) == 0 {
		return
	}
	n := w.list[w.rng.IntN(min(len(w.list), w.cfg.deleteDepth))]
	if w.now-w.items[n].born >= w.cfg.deleteAge {
		w.list = slices.DeleteFunc(w.list, func(m int) bool { return m == n })
		w.altered = append(w.altered, alteration{now: w.now, lies: w.items[n].lies, deleted: true})
	}
}

// deletes counts the deletions above a message that was not added late, after one request and up to another.
func (w *world) deletes(above, after, until int) (count int) {
	for _, a := range w.altered {
		if a.deleted && a.lies >= above && a.now > after && a.now <= until {
			count++
		}
	}
	return count
}

// cameLate reports whether any message was added late after a request.
func (w *world) cameLate(after int) bool {
	return slices.ContainsFunc(w.altered, func(a alteration) bool { return !a.deleted && a.now > after })
}

// epoch is the beginning of the world's times.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func uuid(n int) string { return fmt.Sprintf("MSG%08x-0000-4000-8000-000000000000", n) }

func number(key connector.Key) int {
	return int(key[0])<<24 | int(key[1])<<16 | int(key[2])<<8 | int(key[3])
}

// message is the n-th item as the client would decode it.
func (w *world) message(n int) connector.Message {
	it := &w.items[n]
	it.observed = true
	m := connector.Message{UUID: it.uuid, Key: it.key, SentBy: "user", Chat: "chat", Data: it.data}
	if n%17 != 0 && !w.timeless { // some have no readable time
		m.Time = epoch.Add(time.Duration(it.time) * time.Second)
	}
	if it.poison {
		m.Fault = "planted"
	}
	return m
}

// slice is a page at one instant.
func (w *world) slice(number int) connector.Page {
	from := min(number*w.cfg.page, len(w.list))
	rows := w.list[from:min(from+w.cfg.page, len(w.list))]
	page := connector.Page{Number: number, Received: w.time(), Bytes: 100 * len(rows)}
	print := []byte("p")
	for _, n := range rows {
		page.Messages = append(page.Messages, w.message(n))
		print = binary.AppendUvarint(print, uint64(n))
	}
	page.Fingerprint = connector.Fingerprint(print)
	return page
}

// pages is one replica's access to the world.
type pages struct {
	world  *world
	pause  func() // a place where the replica may crash, or another one continue
	flying int
	// glitched is the last page that was answered empty by mistake.
	glitched int
}

func (p *pages) Page(_ context.Context, _ connector.Stream, number int, held connector.Fingerprint) (connector.Page,
	error,
) {
	p.flying++
	if p.flying > 1 {
		panic("I10: two requests of one stream in flight")
	}
	defer func() { p.flying-- }()
	p.pause()
	w := p.world
	w.move()
	w.calls++
	page := w.answer(number)
	p.pause()
	if !w.quiet && w.chance(w.cfg.fault) {
		return connector.Page{}, &connector.PageError{
			Fault: connector.FaultTransient, Status: 503,
			Err: errors.New("planted"),
		}
	}
	// an empty answer that is not the end, but not twice in a row
	if !w.quiet && number > 0 && number != p.glitched && w.chance(w.cfg.glitch) {
		p.glitched = number
		return connector.Page{Number: number, Fingerprint: "p", Received: w.time()}, nil
	}
	if held != "" && page.Fingerprint == held {
		return connector.Page{Number: number, Unchanged: true, Fingerprint: held, Received: w.time()}, nil
	}
	return page, nil
}
