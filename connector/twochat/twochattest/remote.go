package twochattest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// mostAtOnce is how many messages one request puts on a list at most.
const mostAtOnce = 100_000

// Control steers a Fake over HTTP, for tests in any language. Every path takes ?number=, the first one where it is
// left out; a plus sign in a query is written %2B.
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
//	POST /fake/next                the next answers, as JSON: [{"kind":"status","status":503},{"kind":"truncated"},{}]
//	POST /fake/faults?rate=0.2     passing faults by chance; 0 is none
//	POST /fake/shape               other members, as of another release: {"add":{"colour":"red"},"drop":["session_key"],
//	                               "around":{"next":1}}; {} is the usual shape
//	POST /fake/quiet, /fake/resume drift and faults by chance, off and on again
//	GET  /fake/numbers             {"numbers":[…]}
//	GET  /fake/truth               every message that was ever listed, oldest first, a JSON object a line
//
// What a request asks for that cannot be is a 400 or 404 with {"error":"…"}.
func Control(f *Fake) http.Handler {
	c := control{f}
	mux := http.NewServeMux()
	change := func(name string, do func(number string, r *http.Request) ([]string, error)) {
		mux.HandleFunc("POST /fake/"+name, c.steered(func(number string, r *http.Request) (any, error) {
			uuids, err := do(number, r)
			return map[string][]string{"uuids": append([]string{}, uuids...)}, err
		}))
	}
	change("append", func(number string, r *http.Request) ([]string, error) {
		count, err := whole(r, "count", 1, mostAtOnce)
		if err != nil {
			return nil, err
		}
		return f.Insert(number, count), nil
	})
	at := func(name string, do func(number string, place int) string) {
		change(name, func(number string, r *http.Request) ([]string, error) {
			key := "position"
			if name == "late" {
				key = "depth"
			}
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
	at("late", f.Late)
	at("delete", f.Delete)
	at("edit", func(number string, place int) string {
		for below := range 100 {
			if uuid := f.Edit(number, place+below); uuid != "" {
				return uuid
			}
		}
		return ""
	})
	change("backdated", func(number string, _ *http.Request) ([]string, error) {
		return []string{f.Backdated(number)}, nil
	})
	change("skeleton", func(number string, _ *http.Request) ([]string, error) {
		return []string{f.Skeleton(number)}, nil
	})
	change("poison", func(number string, r *http.Request) ([]string, error) {
		for _, kind := range Poisons() {
			if string(kind) == r.FormValue("kind") {
				f.Poison(number, kind)
				return nil, nil
			}
		}
		return nil, fmt.Errorf("kind: expected one of %q", Poisons())
	})
	change("replace", func(number string, r *http.Request) ([]string, error) {
		count, err := whole(r, "count", 0, mostAtOnce)
		if err == nil {
			f.Replace(number, count)
		}
		return nil, err
	})
	change("clear", func(number string, _ *http.Request) ([]string, error) { f.Clear(number); return nil, nil })
	change("quiet", func(string, *http.Request) ([]string, error) { f.Quiet(); return nil, nil })
	change("resume", func(string, *http.Request) ([]string, error) { f.Resume(); return nil, nil })
	change("next", c.next)
	change("shape", c.shape)
	change("faults", func(_ string, r *http.Request) ([]string, error) {
		rate, err := strconv.ParseFloat(r.FormValue("rate"), 64)
		if err != nil || rate < 0 || rate > 1 {
			return nil, errors.New("rate: expected 0 to 1")
		}
		f.SetFaults(PassingFaults(rate))
		return nil, nil
	})
	mux.HandleFunc("GET /fake/numbers", c.steered(func(string, *http.Request) (any, error) {
		return map[string][]string{"numbers": f.options.Numbers}, nil
	}))
	mux.HandleFunc("GET /fake/truth", c.steered(func(number string, _ *http.Request) (any, error) {
		return f.Truth(number), nil
	}))
	mux.HandleFunc("POST /fake/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		_ = json.NewEncoder(w).Encode(map[string]string{
			"error": "there is no such request; `twochat-connector help fake` lists them, with POST or GET",
		})
	})
	return mux
}

// control is what steers a Fake.
type control struct{ fake *Fake }

// steered answers a request about a number that the Fake has.
func (c control) steered(do func(number string, r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		number := r.URL.Query().Get("number")
		_, found := c.fake.numbers[number]
		w.Header().Set("Content-Type", "application/json")
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		if number != "" && !found {
			w.WriteHeader(http.StatusNotFound)
			_ = encoder.Encode(map[string]string{"error": "the fake has no such number; a plus sign in a query is %2B"})
			return
		}
		answer, err := do(number, r)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			answer = map[string]string{"error": err.Error()}
		}
		messages, listed := answer.([]Message)
		if !listed {
			_ = encoder.Encode(answer) // whoever asked is gone
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

// truth is what Control tells of a message.
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
	// Item is the item as a text, byte for byte; of a poison what is valid in it.
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
	var given []struct {
		Kind       Kind
		Status     int
		Body       Body
		RetryAfter int `json:"retry_after"` // seconds
		Delay      int // milliseconds
	}
	decoder := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<20))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&given); err != nil {
		return nil, errors.New("expected a list of faults: kind, status, body, retry_after (seconds), delay (milliseconds)")
	}
	faults := make([]Fault, len(given))
	for i, g := range given {
		if g.Kind == KindStatus && (g.Status < 200 || g.Status > 599) {
			return nil, errors.New("status: expected 200 to 599")
		}
		faults[i] = Fault{
			Kind: g.Kind, Status: g.Status, Body: g.Body, RetryAfter: time.Duration(g.RetryAfter) * time.Second,
			Delay: time.Duration(g.Delay) * time.Millisecond,
		}
	}
	c.fake.Next(faults...)
	return nil, nil
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
	text := r.URL.Query().Get(name)
	if text == "" {
		return preset, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > most {
		return 0, fmt.Errorf("%s: expected 0 to %d", name, most)
	}
	return n, nil
}
