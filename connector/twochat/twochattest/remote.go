package twochattest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// mostAtOnce is how many messages one request can add to a list.
const mostAtOnce = 100_000

// document is the name under which a request's body is among the members of its query if it is a JSON document,
// whatever its stated type is.
const document = "(body)"

// Control steers a Fake over HTTP, for tests in any language. Every path takes ?number=, by default the first number; a
// plus sign in a query is written %2B.
//
//	POST /fake/append?count=3      messages on top; answers {"uuids":[…]}, oldest first
//	POST /fake/late?depth=5        a message with depth others above it
//	POST /fake/backdated           a message on top with an old time
//	POST /fake/skeleton            a message without content, which an edit completes
//	POST /fake/delete?position=0   the message at a position from the top is gone
//	POST /fake/edit?position=0     its content changes under its uuid: of the first from there down that has some
//	POST /fake/poison?kind=no+id   an item that cannot become an event (see Poisons)
//	POST /fake/replace?count=50    another list in place of this one
//	POST /fake/clear               an empty list
//	POST /fake/next                the next answers (see Kinds): [{"kind":"status","status":503},{"kind":"truncated"},{}]
//	POST /fake/faults?rate=0.2     passing faults by chance; 0 is none
//	POST /fake/shape               other members, as of another release: {"add":{"colour":"red"},"drop":["session_key"],
//	                               "around":{"next":1}}; {} is the usual shape
//	POST /fake/quiet, /fake/resume drift, faults by chance and what arrives by itself, off and on again
//	GET  /fake/numbers             {"numbers":[…]}
//	GET  /fake/truth               every message that was ever listed, oldest first, a JSON object a line
//
// A request that cannot be fulfilled is answered with 400, 404 or 405 and {"error":"…"}; so is one with a query member
// that it does not take.
func Control(f *Fake) http.Handler {
	c := control{f}
	mux := http.NewServeMux()
	methods := map[string]string{}
	steered := func(method, name, takes string, do func(number string, r *http.Request) (any, error)) {
		methods["/fake/"+name] = method
		mux.HandleFunc(method+" /fake/"+name, c.steered(strings.Fields(takes+" number"), do))
	}
	change := func(name, takes string, do func(number string, r *http.Request) ([]string, error)) {
		steered(http.MethodPost, name, takes, func(number string, r *http.Request) (any, error) {
			uuids, err := do(number, r)
			return map[string][]string{"uuids": append([]string{}, uuids...)}, err
		})
	}
	change("append", "count", func(number string, r *http.Request) ([]string, error) {
		count, err := whole(r, "count", 1, mostAtOnce)
		if err != nil {
			return nil, err
		}
		return f.Insert(number, count), nil
	})
	at := func(name, key string, do func(number string, place int) string) {
		change(name, key, func(number string, r *http.Request) ([]string, error) {
			place, err := whole(r, key, 0, mostAtOnce)
			if err != nil {
				return nil, err
			}
			uuid := do(number, place)
			if uuid == "" {
				return nil, errors.New("there is no such message at this position")
			}
			return []string{uuid}, nil
		})
	}
	at("late", "depth", f.Late)
	at("delete", "position", f.Delete)
	at("edit", "position", func(number string, place int) string {
		for below := range 100 {
			if uuid := f.Edit(number, place+below); uuid != "" {
				return uuid
			}
		}
		return ""
	})
	change("backdated", "", func(number string, _ *http.Request) ([]string, error) {
		return []string{f.Backdated(number)}, nil
	})
	change("skeleton", "", func(number string, _ *http.Request) ([]string, error) {
		return []string{f.Skeleton(number)}, nil
	})
	change("poison", "kind", func(number string, r *http.Request) ([]string, error) {
		kind := Poison(r.Form.Get("kind"))
		if !slices.Contains(Poisons(), kind) {
			return nil, fmt.Errorf("kind: expected one of %q", Poisons())
		}
		f.Poison(number, kind)
		return nil, nil
	})
	change("replace", "count", func(number string, r *http.Request) ([]string, error) {
		count, err := whole(r, "count", 0, mostAtOnce)
		if err == nil {
			f.Replace(number, count)
		}
		return nil, err
	})
	change("clear", "", func(number string, _ *http.Request) ([]string, error) { f.Clear(number); return nil, nil })
	change("quiet", "", func(string, *http.Request) ([]string, error) { f.Quiet(); return nil, nil })
	change("resume", "", func(string, *http.Request) ([]string, error) { f.Resume(); return nil, nil })
	change("next", document, c.next)
	change("shape", document, c.shape)
	change("faults", "rate", func(_ string, r *http.Request) ([]string, error) {
		rate, err := strconv.ParseFloat(r.Form.Get("rate"), 64)
		if err != nil || !(rate >= 0 && rate <= 1) { // NaN is neither
			return nil, errors.New("rate: expected 0 to 1")
		}
		f.SetFaults(PassingFaults(rate))
		return nil, nil
	})
	steered(http.MethodGet, "numbers", "", func(string, *http.Request) (any, error) {
		return map[string][]string{"numbers": f.options.Numbers}, nil
	})
	steered(http.MethodGet, "truth", "", func(number string, _ *http.Request) (any, error) {
		return f.Truth(number), nil
	})
	mux.HandleFunc("/fake/", func(w http.ResponseWriter, r *http.Request) {
		if method, found := methods[r.URL.Path]; found {
			w.Header().Set("Allow", method)
			refuse(w, http.StatusMethodNotAllowed, "expected "+method)
			return
		}
		refuse(w, http.StatusNotFound,
			"there is no such request; `twochat-connector help fake` lists them, with POST or GET")
	})
	return mux
}

// refuse answers with an error.
func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": text}) // the client may be gone
}

// control is what steers a Fake.
type control struct{ fake *Fake }

// steered answers a request about one of the Fake's numbers, with the query members that it takes.
func (c control) steered(takes []string, do func(number string, r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := readQuery(r, takes); err != nil {
			refuse(w, http.StatusBadRequest, err.Error())
			return
		}
		number := r.Form.Get("number")
		if _, found := c.fake.numbers[number]; number != "" && !found {
			refuse(w, http.StatusNotFound, "the fake has no such number; a plus sign in a query is %2B")
			return
		}
		answer, err := do(number, r)
		if err != nil {
			refuse(w, http.StatusBadRequest, err.Error())
			return
		}
		w.Header().Set("Content-Type", "application/json")
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		messages, listed := answer.([]Message)
		if !listed {
			_ = encoder.Encode(answer) // the client is gone
			return
		}
		w.Header().Set("Content-Type", "application/x-ndjson")
		for _, m := range messages {
			if encoder.Encode(truthOf(m)) != nil {
				return
			}
		}
	}
}

// readQuery reads a request's query, and the members of a form, into its Form. It refuses an unknown member, which may
// be misspelt: a test would believe that it had an effect.
func readQuery(r *http.Request, takes []string) error {
	var err error
	if takes[0] == document {
		takes = takes[1:]
		r.Form, err = url.ParseQuery(r.URL.RawQuery)
	} else {
		r.Body = http.MaxBytesReader(nil, r.Body, 1<<20)
		err = r.ParseForm()
	}
	if err != nil {
		return errors.New("the query cannot be read")
	}
	for name := range r.Form {
		if !slices.Contains(takes, name) {
			return fmt.Errorf("%q is unknown in this query: expected %s", name, strings.Join(takes, ", "))
		}
	}
	return nil
}

// truth is what Control returns for a message.
type truth struct {
	Index     int        `json:"index"`
	UUID      string     `json:"uuid"`
	Chat      string     `json:"chat"`
	Time      *time.Time `json:"time"`
	Late      bool       `json:"late"`
	Backdated bool       `json:"backdated"`
	Deleted   bool       `json:"deleted"`
	Edits     int        `json:"edits"`
	Served    bool       `json:"served"`
	Poison    Poison     `json:"poison"`
	// Item is the item as a text, byte for byte; for a poison, the valid part of it.
	Item string `json:"item"`
}

func truthOf(m Message) truth {
	t := truth{
		Index: m.Index, UUID: m.UUID, Chat: m.Chat, Late: m.Late, Backdated: m.Backdated, Deleted: m.Deleted, Edits: m.Edits,
		Served: m.Served, Poison: m.Poison, Item: string(m.Data()),
	}
	if !m.Time.IsZero() {
		t.Time = &m.Time
	}
	return t
}

// next takes the next answers from a request's body.
func (c control) next(_ string, r *http.Request) ([]string, error) {
	var given []scripted
	decoder := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<20))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&given); err != nil {
		return nil, errors.New("expected a list of faults: kind, status, body, retry_after (seconds), delay (milliseconds)")
	}
	faults := make([]Fault, len(given))
	for i, g := range given {
		if err := g.check(); err != nil {
			return nil, err
		}
		faults[i] = Fault{
			Kind: g.Kind, Status: g.Status, Body: g.Body, RetryAfter: time.Duration(g.RetryAfter) * time.Second,
			Delay: time.Duration(g.Delay) * time.Millisecond,
		}
	}
	c.fake.Next(faults...)
	return nil, nil
}

// scripted is one of the next answers, as a request has it.
type scripted struct {
	Kind       Kind
	Status     int
	Body       Body
	RetryAfter int `json:"retry_after"` // seconds
	Delay      int // milliseconds
}

// check refuses what would have no effect: a test would believe that it had put a fault in.
func (s scripted) check() error {
	bodies := append(Bodies(), BodyHTML, BodyEmpty)
	switch {
	case s.Kind != "" && !slices.Contains(Kinds(), s.Kind):
		return fmt.Errorf("kind: expected one of %q; {} is a good answer", Kinds())
	case s.Kind == KindStatus && (s.Status < 200 || s.Status > 599):
		return errors.New("status: expected 200 to 599")
	case s.Kind != KindStatus && (s.Status != 0 || s.Body != "" || s.RetryAfter != 0):
		return fmt.Errorf("status, body and retry_after: expected with the kind %q alone", KindStatus)
	case s.Body != "" && !slices.Contains(bodies, s.Body):
		return fmt.Errorf("body: expected one of %q", bodies)
	case s.RetryAfter < 0:
		return errors.New("retry_after: expected 0 seconds or more")
	case s.Kind != KindSlow && s.Kind != KindStall && s.Delay != 0:
		return fmt.Errorf("delay: expected with the kinds %q and %q alone", KindSlow, KindStall)
	case s.Delay < 0:
		return errors.New("delay: expected 0 milliseconds or more")
	}
	return nil
}

// shape takes the shape of a list's items from a request's body.
func (c control) shape(number string, r *http.Request) ([]string, error) {
	var shape Reshape
	decoder := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<20))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&shape); err != nil {
		return nil, errors.New(`expected {"add":{"name":value},"drop":["name"],"around":{"name":value}}; {} is the usual shape`)
	}
	SetShape(c.fake, number, shape)
	return nil, nil
}

// whole reads a whole number of a query.
func whole(r *http.Request, name string, preset, most int) (int, error) {
	text := r.Form.Get(name)
	if text == "" {
		return preset, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > most {
		return 0, fmt.Errorf("%s: expected 0 to %d", name, most)
	}
	return n, nil
}
