package twochattest

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// DefaultNumber is the connected number of a Fake whose Options name none. It is reserved for fiction.
const DefaultNumber = "+15550100100"

// Options describe a fake 2Chat. The zero Options make one with DefaultNumber, no messages, no drift and no faults.
type Options struct {
	// Seed determines everything random. The same seed and the same order of requests and calls for a number give the same
	// answers about that number.
	Seed uint64
	// Numbers are the connected numbers, E.164; default DefaultNumber.
	Numbers []string
	// Key is the only API key that is accepted; if it is empty, any key is accepted, but not a request without one.
	Key string
	// PageSize is how many rows a page has; default 100.
	PageSize int
	// Chats is how many conversations each number has; default 12.
	Chats int
	// History is how many messages each number has from the start, HistoryStep apart (default 20 s).
	History     int
	HistoryStep time.Duration
	// Drift is how the lists move before every request. Faults are the faults of answers, each with its rate.
	Drift  Drift
	Faults []Chance
	// Shapes are the forms of the items.
	Shapes Shapes
	// Now is the clock of message times, dates and the rate limit; default time.Now.
	Now func() time.Time
	// Latency is how long every answer takes, in real time.
	Latency time.Duration
	// RequestsPerMinute is the limit stated by /open/info; default 80. EnforceRate answers 429 above it.
	RequestsPerMinute int
	EnforceRate       bool
	// Credits is how many calls the account has; after them every page is a 402. Default 500,000.
	Credits int
	// Gzip compresses answers if the client accepts that. Validators sends an ETag with each page and answers
	// If-None-Match with 304.
	Gzip, Validators bool
	// NotFoundPastEnd answers 404 past the end of a list, not an empty page.
	NotFoundPastEnd bool
	// IgnorePageNumber shows page 0 for every page number, under the number requested.
	IgnorePageNumber bool
	// RedirectTo is the target of KindRedirect; default https://redirect.invalid/.
	RedirectTo string
	// OversizedBytes is the size of a KindOversized answer; default 65 MiB.
	OversizedBytes int
}

// Fake is a 2Chat that misbehaves like the real one, as an http.Handler. All its methods are safe for concurrent use.
// Methods with a number take "" for the first; they panic at a number that the Fake does not have.
type Fake struct {
	lists
	account

	mu        *sync.Mutex
	quiet     bool
	faults    []Chance
	latency   time.Duration
	next      []Fault
	nextInfo  []Fault
	requests  int
	faultsHit map[string]int
}

// New makes a fake 2Chat.
func New(o Options) *Fake {
	if len(o.Numbers) == 0 {
		o.Numbers = []string{DefaultNumber}
	}
	if o.PageSize <= 0 {
		o.PageSize = 100
	}
	if o.Chats <= 0 {
		o.Chats = 12
	}
	if o.HistoryStep == 0 {
		o.HistoryStep = 20 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.RequestsPerMinute == 0 {
		o.RequestsPerMinute = 80
	}
	if o.Credits == 0 {
		o.Credits = 500_000
	}
	if o.RedirectTo == "" {
		o.RedirectTo = "https://redirect.invalid/"
	}
	if o.OversizedBytes == 0 {
		o.OversizedBytes = 65 << 20
	}
	o.Drift.setDefaults()
	mu := new(sync.Mutex)
	f := &Fake{
		lists: lists{mu: mu, options: o, numbers: map[string]*list{}, drift: o.Drift},
		account: account{
			mu: mu, key: o.Key, credits: o.Credits, enforceRate: o.EnforceRate, requestsPerMinute: o.RequestsPerMinute,
		},
		mu: mu, faults: o.Faults, latency: o.Latency, faultsHit: map[string]int{},
	}
	for _, name := range o.Numbers {
		n := newList(name, o)
		n.history(o.History, o.Now(), o.HistoryStep)
		f.numbers[name] = n
	}
	return f
}

// ServeHTTP answers as 2Chat.
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, isMessages := strings.CutPrefix(r.URL.Path, "/open/whatsapp/messages/")
	isInfo := r.URL.Path == "/open/info"
	now := f.options.Now()

	f.mu.Lock()
	f.requests++
	f.used++
	latency := f.latency
	refusal := f.refuse(r, isMessages, now)
	f.mu.Unlock()

	if !wait(r, latency) {
		return
	}
	switch {
	case !isInfo && !isMessages:
		writeStatus(w, Status(http.StatusNotFound, BodyDetail), now)
	case r.Method != http.MethodGet:
		writeStatus(w, Status(http.StatusMethodNotAllowed, BodyDetail), now)
	case refusal != (Fault{}):
		writeStatus(w, refusal, now)
	case isInfo:
		f.serveInfo(w, r, now)
	default:
		name, remote, _ := strings.Cut(path, "/")
		f.serveMessages(w, r, name, remote, now)
	}
}

// wait waits, and reports whether the client is still there.
func wait(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
	}
	return false
}

// isNumber reports whether a path segment is a number in E.164 form.
func isNumber(s string) bool {
	digits, found := strings.CutPrefix(s, "+")
	if !found || len(digits) < 7 || len(digits) > 15 {
		return false
	}
	return strings.Trim(digits, "0123456789") == ""
}

// view is a page at one instant.
type view struct {
	number  *list
	page    int
	indexes []uint32
	rows    []row
	fault   Fault
	shape   *Reshape
}

func (f *Fake) serveMessages(w http.ResponseWriter, r *http.Request, name, remote string, now time.Time) {
	page, err := 0, error(nil)
	if given := r.URL.Query().Get("page_number"); given != "" {
		page, err = strconv.Atoi(given)
	}
	if err != nil || page < 0 || !isNumber(name) {
		writeStatus(w, Status(http.StatusUnprocessableEntity, BodyDetail), now)
		return
	}
	v, found := f.view(name, remote, page, now)
	switch {
	case v.fault.Kind == KindStatus:
		writeStatus(w, v.fault, now)
	case !found, v.fault.Kind == KindMissing:
		writeStatus(w, Status(http.StatusNotFound, BodyDetail), now)
	default:
		f.answer(w, r, v)
	}
}

// view lets the list move, and takes a slice of it at one instant.
func (f *Fake) view(name, remote string, page int, now time.Time) (view, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, found := f.numbers[name]
	v := view{number: n, page: page}
	if found {
		n.requests++
		if !f.quiet {
			n.move(&f.drift, f.options.PageSize, now)
			v.fault = pick(f.faults, n.rng)
		}
	}
	if len(f.next) > 0 {
		v.fault, f.next = f.next[0], f.next[1:]
	}
	if v.fault.Kind != "" {
		f.faultsHit[v.fault.String()]++
	}
	if !found {
		return v, false
	}
	shown := n.lie.page(page, f.options.PageSize, len(n.listed))
	switch {
	case f.options.IgnorePageNumber:
		shown = 0
	case v.fault.Kind == KindRepeat:
		shown = max(0, shown-1)
	}
	indexes := n.slice(remote, shown, f.options.PageSize)
	switch v.fault.Kind {
	case KindEmptyPage:
		indexes = nil
	case KindShortPage:
		indexes = indexes[:len(indexes)/2]
	default:
		if len(indexes) == 0 && page > 0 && f.options.NotFoundPastEnd {
			return v, false
		}
	}
	v.shape = lastShape(n.reshaped)
	whole := v.fault.whole()
	for _, index := range indexes {
		r := &n.rows[index]
		if r.flags&flagHidden != 0 {
			continue
		}
		if whole {
			r.served |= 1 << r.version
		}
		v.indexes, v.rows = append(v.indexes, index), append(v.rows, *r)
	}
	if _, read := n.firstRead[remote]; whole && page == 0 && !read && v.fault.Kind != KindEmptyPage {
		n.firstRead[remote] = len(n.rows)
	}
	return v, true
}
