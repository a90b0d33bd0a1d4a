package simulation

import (
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// lie is a wrong answer that the API gives for some requests.
type lie struct {
	kind  string
	page  int // where it begins
	until int // w.now when it ends
}

// longestLie is the largest number of requests during which the API lies; a request takes a second.
const longestLie = 30

// ways are the kinds of lies: the list ends too early, or is empty; a page in the middle is empty, or any page at
// times; the last page is shown for all below it, or page 0 for all.
var ways = [...]string{"ends", "empty", "hollow", "flickers", "clamps", "ignores"}

// time is when the current request is answered.
func (w *world) time() time.Time { return epoch.Add(time.Duration(w.now) * time.Second) }

// answer is the page as the API shows it now. Before the log holds ground, by which a list is recognised, it lies only
// about its end.
func (w *world) answer(number int) connector.Page {
	if number > 0 && number == w.cfg.gap {
		return w.hidden(number)
	}
	if w.quiet || len(w.cfg.lie) == 0 {
		return w.slice(number)
	}
	often, ways := w.cfg.lies, w.cfg.lie
	if !w.grounded {
		often, ways = w.cfg.early, []string{"ends"}
	}
	if w.now >= w.lie.until && w.chance(often) {
		w.lie = lie{pick(w.rng, ways...), w.between(1, pick(w.rng, 2, 8, 30)), w.now + w.between(1, longestLie)}
		// the pages shown are real ones, so it may last: a search has to end
		if w.lie.kind == "clamps" || w.lie.kind == "ignores" {
			w.lie.until += w.between(0, 20*longestLie)
		}
	}
	shown := number
	if w.now < w.lie.until {
		switch w.lie.kind {
		case "ends":
			shown = pick(w.rng, -1, -2)
		case "empty":
			shown = -1
		case "hollow":
			shown = -1
		case "flickers":
			shown = pick(w.rng, -1, -2, number, number)
		case "clamps":
			shown = w.lie.page
		case "ignores":
			shown = 0
		}
		switch {
		case number < w.lie.page && w.lie.kind != "empty" && w.lie.kind != "ignores", number > w.lie.page &&
			w.lie.kind == "hollow",
			number == 0 && w.lie.kind == "flickers":
			shown = number
		}
	}
	if shown < 0 {
		return connector.Page{Number: number, Fingerprint: "p", Received: w.time(), Missing: shown == -2}
	}
	page := w.slice(shown)
	page.Number = number
	return page
}

// hidden is a page that is empty for good. What it would show may come late, once the list has moved.
func (w *world) hidden(number int) connector.Page {
	from := min(number*w.cfg.page, len(w.list))
	for _, n := range w.list[from:min(from+w.cfg.page, len(w.list))] {
		w.items[n].late = true
	}
	return connector.Page{Number: number, Fingerprint: "p", Received: w.time()}
}
