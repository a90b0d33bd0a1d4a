package twochattest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"
)

// hostile is a world in which everything happens.
func hostile(seed uint64) Options {
	drift := HostileDrift()
	drift.DeleteAge, drift.Replaced, drift.Hidden = 5, .005, .05
	return Options{Seed: seed, History: 300, Drift: drift, Faults: PassingFaults(.2), Now: at}
}

// ask makes a request without a network and returns everything in the answer that has to be the same each time.
func ask(fake *Fake, path string) string {
	request := httptest.NewRequest("GET", path, nil)
	request.Header.Set("X-User-API-Key", "any")
	recorder := httptest.NewRecorder()
	func() {
		defer func() { _ = recover() }() // a reset
		fake.ServeHTTP(recorder, request)
	}()
	return fmt.Sprint(recorder.Code, recorder.Header(), recorder.Body.String())
}

func TestDrift_FollowsTheSeed(t *testing.T) {
	run := func(seed uint64) (answers []string) {
		fake := New(hostile(seed))
		pages := rand.New(rand.NewPCG(1, 1))
		for range 100 {
			answers = append(answers, ask(fake, fmt.Sprintf("%s%s?page_number=%d", listPath, DefaultNumber, pages.IntN(4))))
		}
		return answers
	}
	first := run(7)
	if !slices.Equal(first, run(7)) {
		t.Error("the same seed gives other answers")
	}
	if slices.Equal(first, run(8)) {
		t.Error("another seed gives the same answers")
	}
}

func TestDrift_NumbersAreIndependent(t *testing.T) {
	run := func(others int) (answers []string) {
		options := hostile(3)
		options.Numbers = []string{"+15550100101", "+15550100102"}
		fake := New(options)
		for range 100 {
			answers = append(answers, ask(fake, listPath+"+15550100101"))
			for range others {
				ask(fake, listPath+"+15550100102")
			}
		}
		return answers
	}
	if !slices.Equal(run(0), run(3)) {
		t.Error("one number's requests change what another number answers")
	}
}

// TestDrift_ReachesEverything runs until each kind of movement has been seen, so a rate without effect would show.
func TestDrift_ReachesEverything(t *testing.T) {
	if testing.Short() {
		t.Skip("many cases in one goroutine: not in short mode")
	}
	fake := New(hostile(1))
	for range 1000 {
		ask(fake, listPath+DefaultNumber)
	}
	met := map[string]int{}
	for _, m := range fake.Truth("") {
		for name, is := range map[string]bool{
			"late": m.Late, "backdated": m.Backdated, "old": m.Old, "deleted": m.Deleted, "edited": m.Edits > 0,
			"skeleton": m.row.flags&flagSkeleton != 0, string(m.Poison): true,
		} {
			if is {
				met[name]++
			}
		}
	}
	for _, name := range append([]string{"late", "backdated", "old", "deleted", "edited", "skeleton"},
		func() (names []string) {
			for _, p := range Poisons() {
				names = append(names, string(p))
			}
			return names
		}()...) {
		if met[name] == 0 {
			t.Errorf("nothing was %s in %v", name, met)
		}
	}
	for _, chance := range PassingFaults(1) {
		if fake.Faults()[chance.Fault.String()] == 0 {
			t.Errorf("%s never happened", chance.Fault)
		}
	}
}

// TestTruth_UnderConcurrentRequests reads a wild list concurrently, then lets it rest and reads all of it, which must
// equal the truth byte for byte.
func TestTruth_UnderConcurrentRequests(t *testing.T) {
	options := hostile(5)
	options.Numbers = []string{"+15550100101", "+15550100102"}
	options.Drift.Poison = 0 // 1 MiB each
	fake, server, client := start(t, options)
	var readers sync.WaitGroup
	var answered [2]atomic.Uint64 // by number
	for reader := range 6 {
		readers.Go(func() {
			for i := range 60 {
				// Faults may break any of these requests, some before they reach the fake.
				page := fmt.Sprintf("%s%s%s?page_number=%d", server.URL, listPath, options.Numbers[reader%2], i%4)
				if _, _, err := get(t, client, page); err == nil {
					answered[reader%2].Add(1)
				}
				switch i % 20 {
				case 3:
					fake.Insert(options.Numbers[i%2], 3)
				case 7:
					fake.Late(options.Numbers[i%2], 30)
				case 11:
					fake.Truth(options.Numbers[i%2])
				case 13:
					fake.Delete(options.Numbers[i%2], 2)
				}
			}
		})
	}
	readers.Wait()
	fake.Quiet()
	for i, number := range options.Numbers {
		requests := fake.PageRequests(number)
		items := wholeListOfHidden(t, fake, func(page int) []json.RawMessage {
			return read(t, client, fmt.Sprintf("%s%s%s?page_number=%d", server.URL, listPath, number, page))
		}, number)
		slices.Reverse(items)
		var want []string
		for _, m := range fake.Truth(number) {
			if !m.Deleted {
				want = append(want, string(m.Data()))
			}
		}
		if !slices.Equal(items, want) {
			t.Errorf("the list has %d messages, the truth %d, or they differ", len(items), len(want))
		}
		if n := answered[i].Load(); n == 0 || uint64(requests) < n {
			t.Errorf("counted %d requests, and %d were answered", requests, n)
		}
	}
}

// wholeListOfHidden reads every possible page, as a page may be empty because all its rows are hidden.
func wholeListOfHidden(t *testing.T, fake *Fake, read func(page int) []json.RawMessage,
	number string,
) (items []string) {
	t.Helper()
	for page := range len(fake.Truth(number))/100 + 3 {
		for _, m := range read(page) {
			items = append(items, string(m))
		}
	}
	return items
}

func TestControl_MovesTheList(t *testing.T) {
	fake := New(Options{Seed: 2, History: 100, Now: at})
	list := func() (uuids []string) {
		for _, m := range fake.Truth("") {
			if !m.Deleted {
				uuids = append(uuids, m.UUID)
			}
		}
		return uuids
	}
	before := list()
	top := fake.Insert("", 2)
	late := fake.Late("", 5)
	old := fake.Backdated("")
	gone := fake.Delete("", 10)
	after := list()
	want := slices.Insert(slices.Concat(before, top), len(before)+2-5, late)
	want = append(want, old)
	want = slices.DeleteFunc(want, func(uuid string) bool { return uuid == gone })
	if !slices.Equal(after, want) {
		t.Errorf("the list is\n%v, want\n%v", after[90:], want[90:])
	}
	if fake.FirstRead("", "") != len(fake.Truth("")) {
		t.Error("an unread list has a first read")
	}
	ask(fake, listPath+DefaultNumber)
	began := len(fake.Truth(""))
	fake.Insert("", 1)
	if got := fake.FirstRead("", ""); got != began {
		t.Errorf("the first read was at %d, want %d", got, began)
	}
	if uuid := fake.Twice("", 3, 4); strings.Count(ask(fake, listPath+DefaultNumber), `"`+uuid+`"`) < 2 {
		t.Error("the message is not listed twice")
	}
	fake.Replace("", 150)
	if got := len(list()); got != 150 {
		t.Errorf("a replaced list has %d messages, want 150", got)
	}
	fake.Clear("")
	if got := len(list()); got != 0 {
		t.Errorf("a cleared list has %d messages", got)
	}
}

func TestEdit_KeepsTheUUID(t *testing.T) {
	fake := New(Options{Now: at})
	uuid := fake.Skeleton("")
	before := ask(fake, listPath+DefaultNumber)
	if fake.Edit("", 0) != uuid {
		t.Fatal("the skeleton cannot be completed")
	}
	after := ask(fake, listPath+DefaultNumber)
	if !strings.Contains(before, `"message":{}`) || strings.Contains(after, `"message":{}`) ||
		!strings.Contains(after, uuid) {
		t.Errorf("before %s\nafter %s", before, after)
	}
	m := fake.Truth("")[0]
	if versions := m.Versions(); len(versions) != 2 || string(versions[1]) != string(m.Data()) || m.Edits != 1 {
		t.Errorf("%d edits, %d versions were served", m.Edits, len(versions))
	}
}

func TestItem_Shapes(t *testing.T) {
	for shapes, want := range map[Shapes]struct{ kinds, ids, times, oddities int }{
		ShapesMixed: {int(kinds), 4, int(timeForms), int(oddities)}, ShapesDocumented: {int(kinds), 1, 1, 1},
		ShapesLive: {int(kinds), 1, 1, 1},
	} {
		fake := New(Options{History: 6000, Shapes: shapes, Now: at})
		kinds, ids, times, odd := map[kind]bool{}, map[idForm]bool{}, map[timeForm]bool{}, map[oddity]bool{}
		for _, m := range fake.Truth("") {
			data := m.Data()
			var item struct{ ID, UUID *string }
			if err := json.Unmarshal(data, &item); err != nil || !utf8.Valid(data) {
				t.Fatalf("%v in %s", err, data)
			}
			if id := item.UUID; id == nil && (item.ID == nil || *item.ID != m.UUID) || id != nil && *id != m.UUID {
				t.Fatalf("its id is not %s: %s", m.UUID, data)
			}
			l := m.list.look(uint32(m.Index))
			kinds[l.kind], ids[l.id], times[l.time], odd[l.odd] = true, true, true, true
		}
		got := struct{ kinds, ids, times, oddities int }{len(kinds), len(ids), len(times), len(odd)}
		if got != want {
			t.Errorf("shapes %d: got %+v, want %+v", shapes, got, want)
		}
	}
}

func TestPoison_IsPoison(t *testing.T) {
	for _, kind := range Poisons() {
		fake := New(Options{Now: at})
		fake.Poison("", kind)
		data := fake.Truth("")[0].Data()
		var item struct{ ID, UUID any }
		err := json.Unmarshal(data, &item)
		uuid, _ := item.UUID.(string)
		good := map[Poison]bool{
			PoisonNoID:        err == nil && item.ID == nil && item.UUID == nil,
			PoisonBadID:       err == nil && item.ID == nil && (uuid == "" || strings.Contains(uuid, " ")),
			PoisonNotObject:   err != nil && json.Valid(data),
			PoisonInvalidUTF8: err == nil && !utf8.Valid(data),
			PoisonTooLarge:    err == nil && len(data) > 1<<20,
		}
		if !good[kind] {
			t.Errorf("%s: %v, %.100s", kind, err, data)
		}
	}
}

func TestMove_NeedsNoRequest(t *testing.T) {
	fake := New(Options{Drift: Drift{Inserts: 1}, Now: at})
	fake.Quiet()
	ask(fake, listPath+DefaultNumber)
	if got := len(fake.Truth("")); got != 0 {
		t.Errorf("a quiet list grew to %d messages", got)
	}
	fake.Move("")
	if len(fake.Truth("")) == 0 {
		t.Error("the list did not move")
	}
	fake.Resume()
	before := len(fake.Truth(""))
	ask(fake, listPath+DefaultNumber)
	if len(fake.Truth("")) == before {
		t.Error("the list does not move before a request")
	}
}

func TestDrift_DeletesNothingYoung(t *testing.T) {
	fake := New(Options{History: 500, Drift: Drift{Inserts: .5, Deletes: 1, DeleteDepth: 500, DeleteAge: 30}, Now: at})
	deleted := map[string]bool{}
	for range 100 {
		ask(fake, listPath+DefaultNumber)
		for _, m := range fake.Truth("") {
			if m.Deleted && !deleted[m.UUID] {
				deleted[m.UUID] = true
				if age := fake.PageRequests("") - int(m.row.born); age < 30 {
					t.Fatalf("a message was deleted at the age of %d requests", age)
				}
			}
		}
	}
	if len(deleted) < 30 {
		t.Errorf("only %d were deleted", len(deleted))
	}
}

// TestTruth_TimeIsWhatTheItemShows reads the times of the two main forms, and checks for missing times.
func TestTruth_TimeIsWhatTheItemShows(t *testing.T) {
	fake := New(Options{History: 3000, Now: at})
	zero := 0
	for _, m := range fake.Truth("") {
		var item struct {
			Created   any `json:"created_at"`
			Timestamp any
		}
		if err := json.Unmarshal(m.Data(), &item); err != nil {
			t.Fatal(err)
		}
		seconds, isNumber := item.Timestamp.(float64)
		text, isText := item.Created.(string)
		local, err := time.Parse("2006-01-02T15:04:05", text)
		switch {
		case m.Time.IsZero():
			zero++
			if isNumber || isText && err == nil {
				t.Errorf("the time was not to be read, but can: %s", m.Data())
			}
		case isNumber && seconds < 1e11 && int64(seconds) != m.Time.Unix(), isText && err == nil && !local.Equal(m.Time):
			t.Errorf("the time is not %v: %s", m.Time, m.Data())
		}
	}
	if zero == 0 {
		t.Error("every time can be read")
	}
}
