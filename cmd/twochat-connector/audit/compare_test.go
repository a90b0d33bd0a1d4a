package audit

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

// eventOf writes message n as an event: 12 is message 12 as event 12, 12@40 is message 12 as event 40. A star marks it
// as late, an exclamation mark changes its data, a tilde its chat's token.
func eventOf(t *testing.T, token string) []byte {
	t.Helper()
	plain := strings.TrimRight(token, "*!~")
	number, place, moved := strings.Cut(plain, "@")
	n, err := strconv.Atoi(number)
	sequence := n
	if moved && err == nil {
		sequence, err = strconv.Atoi(place)
	}
	if err != nil {
		t.Fatal(err)
	}
	m := connectortest.At(connectortest.Message(n), connectortest.Minute(n))
	m.Data = []byte(`{"uuid": "` + m.UUID + `"}`)
	if strings.Contains(token, "!") {
		m.Data = []byte(`{"uuid": "` + m.UUID + `", "edited": true}`)
	}
	if strings.Contains(token, "~") {
		m.Chat = "former"
	}
	e := connector.NewEvent(connector.Stream{Name: "a"}, m, connector.EventSettings{TypePrefix: "p"},
		connectortest.Minute(90+sequence), uint64(sequence), strings.Contains(token, "*"))
	return e.AppendJSON(nil)
}

// numbers expands ranges such as 1-12, and single numbers, into tokens.
func numbers(text string) (tokens []string) {
	for _, field := range strings.Fields(text) {
		from, to, run := strings.Cut(field, "-")
		if !run {
			tokens = append(tokens, field)
			continue
		}
		first, _ := strconv.Atoi(from)
		last, _ := strconv.Atoi(to)
		for n := first; n <= last; n++ {
			tokens = append(tokens, strconv.Itoa(n))
		}
	}
	return tokens
}

func keysOf(text string) (keys connector.Keys) {
	for _, token := range numbers(text) {
		n, _ := strconv.Atoi(token)
		keys = append(keys, connectortest.Message(n).Key)
	}
	return keys
}

// text writes findings in one line, without those that are 0.
func (f *Findings) text() string {
	var out []string
	name := func(what string, messages []Message) {
		var ids []string
		for _, m := range messages {
			id := m.UUID
			if m.Sequence > 0 {
				id += fmt.Sprintf("@%d", m.Sequence)
			}
			ids = append(ids, id)
		}
		if len(ids) > 0 {
			out = append(out, what+" "+strings.Join(ids, " "))
		}
	}
	count := func(what string, n int) {
		if n > 0 {
			out = append(out, fmt.Sprint(what, " ", n))
		}
	}
	name("missing", f.Missing)
	for _, d := range f.Doubled {
		out = append(out, fmt.Sprint("doubled ", d.UUID, d.Sequences))
	}
	name("disordered", f.OutOfOrder)
	name("changed", f.Changed)
	for _, r := range f.Erased {
		out = append(out, fmt.Sprintf("erased %d of %d-%d %v", r.Count, r.From, r.To, r.Beginning))
	}
	count("unfinished", f.Unfinished)
	count("unreadable", f.Unreadable)
	name("only in log", f.Noted.OnlyInLog)
	count("not yet", f.Noted.NotYet)
	count("before", f.Noted.BeforeStart)
	count("expired", f.Noted.Expired)
	for _, reason := range slices.Sorted(maps.Keys(f.Noted.Quarantined)) {
		out = append(out, fmt.Sprint("quarantined ", f.Noted.Quarantined[reason], ": ", reason))
	}
	for _, u := range f.Noted.Unfit {
		out = append(out, fmt.Sprint("unfit ", u.ID, ": ", u.Reason))
	}
	count("held", f.Noted.Held)
	count("on request", f.Noted.ErasedOnRequest)
	count("late", f.Noted.Late)
	count("restored", f.Noted.Restored)
	count("incomparable", f.Noted.Incomparable)
	count("elsewhere", f.Noted.Elsewhere)
	count("other token", f.Noted.OtherToken)
	count("other privacy", f.Noted.OtherPrivacy)
	return strings.Join(out, "; ")
}

func TestCompare(t *testing.T) {
	all := connector.Checkpoint{Sequence: 20, Certified: 20}
	for name, c := range map[string]struct {
		list, late, log string // oldest first
		unfit           string
		rejects         string
		erased          string // erased on request; 50@0 is a reject
		checkpoint      connector.Checkpoint
		since           int // a minute; 0 means all
		want            string
	}{
		"the same": {list: "1-20", log: "1-20", checkpoint: all},
		"deleted from the log": {
			list: "1-20", log: "1-4 6-9 12-20", checkpoint: all,
			want: "missing m5@5 m10@10 m11@11",
		},
		"never delivered": {
			list: "1-9 50 51 10-20", log: "1-20", checkpoint: all,
			want: "missing m50 m51",
		},
		"never delivered, and another one deleted": {
			list: "1-9 50 10-20", log: "1-4 6-20", checkpoint: all, want: "missing m5@5 m50",
		},
		"which of two was deleted cannot be told": {
			list: "1-9 50 10-20", log: "1-8 10-20", checkpoint: all, want: "missing m9 m50",
		},
		"the checkpoint tells it": {
			list: "1-9 50 10-20", log: "1-8 10-20",
			checkpoint: connector.Checkpoint{Sequence: 20, Certified: 20, Tail: keysOf("5-20")},
			want:       "missing m9@9 m50",
		},
		"the newest ones deleted": {
			list: "1-20", log: "1-17", checkpoint: all, want: "missing m18@18 m19@19 m20@20",
		},
		"not delivered yet": {
			list: "1-24", log: "1-20", checkpoint: all, want: "not yet 4",
		},
		"not certified yet": {
			list: "1-14 50 15-20", log: "1-20", checkpoint: connector.Checkpoint{Sequence: 20, Certified: 12},
			want: "not yet 1",
		},
		"delivered since the audit began": {
			list: "1-24", log: "1-24", checkpoint: all,
		},
		"delivered since, and not listed when it was read": {
			list: "1-20", log: "1-24", checkpoint: all,
		},
		"came in while the list was read": {
			list: "1-20", late: "50 51", log: "1-20 51@21*", checkpoint: all,
			want: "not yet 1; late 1",
		},
		"deleted in 2Chat": {
			list: "1-4 6-20", log: "1-20", checkpoint: all, want: "only in log m5@5",
		},
		"deleted on both sides": {
			list: "1-4 7-20", log: "1-4 7-20", checkpoint: all, want: "erased 2 of 5-6 false",
		},
		"doubled": {
			list: "1-20", log: "1-5 5 6-20 7 7", checkpoint: all,
			want: "doubled m5[5 5]; doubled m7[7 7 7]",
		},
		"doubled under a sequence of its own": {
			list: "1-20", log: "1-20 5@21", checkpoint: connector.Checkpoint{Sequence: 21, Certified: 21},
			want: "doubled m5[5 21]",
		},
		"changed": {list: "1-20", log: "1-4 5! 6-20", checkpoint: all, want: "changed m5@5"},
		"the second of two is another one": {
			list: "1-20", log: "1-20 5!", checkpoint: all, want: "doubled m5[5 5]; changed m5@5",
		},
		"out of place in the sink":   {list: "1-20", log: "1-4 6-20 5", checkpoint: all, want: "disordered m5@5"},
		"delivered in another order": {list: "1-20", log: "1-4 7@5 5@6 6@7 8-20", checkpoint: all, want: "disordered m7@5"},
		"late":                       {list: "1-9 50 10-20", log: "1-20 50@21*", checkpoint: connector.Checkpoint{Sequence: 21, Certified: 21}, want: "late 1"},
		"late and not marked": {
			list: "1-9 50 10-20", log: "1-20 50@21", checkpoint: connector.Checkpoint{Sequence: 21, Certified: 21},
			want: "disordered m50@21",
		},
		"restored": {
			list: "1-20", log: "1-4 6-20 5@21*", checkpoint: connector.Checkpoint{Sequence: 21, Certified: 20},
			want: "late 1; restored 1",
		},
		"restored and one more gone": {
			list: "1-20", log: "1-4 7-20 5@21*", checkpoint: connector.Checkpoint{Sequence: 21, Certified: 21},
			want: "missing m6@6; late 1; restored 1",
		},
		"a late one gone": {
			list: "1-9 50 10-20", log: "1-20", checkpoint: connector.Checkpoint{Sequence: 21, Certified: 21, Tail: append(keysOf("1-20"), keysOf("50")...)},
			want: "missing m50; erased 1 of 21-21 false",
		},
		"in the quarantine": {
			list: "1-9 50 51 10-20", log: "1-20", rejects: "50", checkpoint: connector.Checkpoint{Sequence: 20, Certified: 20, Rejects: keysOf("51")},
			want: "quarantined 1: bad; quarantined 1: not in the quarantine any more",
		},
		"unfit": {
			list: "1-20", unfit: "50 51", rejects: "50", log: "1-20", checkpoint: all,
			want: "quarantined 1: bad; unfit m51: bad",
		},
		"before the start": {
			list: "1-20", log: "8@1 9@2 10@3",
			checkpoint: connector.Checkpoint{Sequence: 3, Certified: 3, Floor: keysOf("7 6 5")},
			want:       "not yet 10; before 7",
		},
		"before the start, where the floor is gone": {
			list: "1-10", log: "8@1 9@2 10@3",
			checkpoint: connector.Checkpoint{Sequence: 3, Certified: 3, Floor: keysOf("70 71")},
			want:       "before 7",
		},
		"the first ones missing": {
			list: "1-10", log: "4@1 5@2 6@3 7@4 8@5 9@6 10@7", checkpoint: connector.Checkpoint{Sequence: 7, Certified: 7},
			want: "missing m1 m2 m3",
		},
		"expired": {list: "1-20", log: "6-20", checkpoint: all, want: "erased 5 of 1-5 true; expired 5"},
		"expired, and the first that is there deleted in 2Chat": {
			list: "1-5 7-20", log: "6-20", checkpoint: all,
			want: "erased 5 of 1-5 true; only in log m6@6; expired 5",
		},
		"expired, the first that is there deleted in 2Chat, and the next one from the log": {
			list: "1-5 7-20", log: "6 8-20", checkpoint: all,
			want: "missing m7; erased 5 of 1-5 true; only in log m6@6; expired 5",
		},
		"expired, and nothing of it is listed": {
			list: "1-18", log: "19 20", checkpoint: connector.Checkpoint{Sequence: 20, Certified: 20, Tail: keysOf("11-20")},
			want: "erased 8 of 11-18 true; only in log m19@19 m20@20; not yet 10; expired 8",
		},
		"expired and before the start": {
			list: "1-20", log: "11@6 12@7 13@8 14@9 15@10 16@11 17@12 18@13 19@14 20@15",
			checkpoint: connector.Checkpoint{Sequence: 15, Certified: 15, Floor: keysOf("5 4")},
			want:       "erased 5 of 1-5 true; before 5; expired 5",
		},
		"a log that begins after a sequence": {
			list: "11-20", log: "11-20", checkpoint: connector.Checkpoint{Sequence: 20, Certified: 20, Base: 10},
		},
		"an emptied log": {list: "1-22", checkpoint: all, want: "erased 20 of 1-20 true; not yet 2; expired 20"},
		"a new log":      {list: "1-5", want: "not yet 5"},
		"held": {
			list: "1-20", log: "11@1 12@2 13@3", checkpoint: connector.Checkpoint{
				Sequence: 3, Certified: 3, Horizon: keysOf("9 8 7"),
			},
			want: "missing m10; not yet 7; held 9",
		},
		"held between events": {
			list: "1-11", log: "1-3 10@4 11@5", checkpoint: connector.Checkpoint{Sequence: 5, Certified: 5, Horizon: keysOf("9 8 7")},
			want: "held 6",
		},
		"erased on request": {
			list: "1-20", log: "1-4 7-20", erased: "5 6", checkpoint: all, want: "on request 2",
		},
		"erased on request and listed no more": {
			list: "1-4 7-20", log: "1-4 7-20", erased: "5 6", checkpoint: all, want: "on request 2",
		},
		"the ends erased on request": {
			list: "1-20", log: "3-18", erased: "1 2 19 20", checkpoint: all, want: "on request 4",
		},
		"all erased on request": {
			list: "1-22", erased: "1-20", checkpoint: all, want: "not yet 2; on request 20",
		},
		"one erased on request, the next deleted": {
			list: "1-20", log: "1-4 7-20", erased: "5", checkpoint: all, want: "missing m6@6; on request 1",
		},
		"erased on request where retention removes": {
			list: "1-20", log: "6-20", erased: "2 5", checkpoint: all, want: "erased 4 of 1-4 true; expired 3; on request 2",
		},
		"a late one erased on request accounts for no other": {
			list: "1-4 6-9 50 10-20", log: "1-4 6-20", erased: "50@21*",
			checkpoint: connector.Checkpoint{Sequence: 21, Certified: 21}, want: "erased 1 of 5-5 false; on request 1",
		},
		"restored, and then erased on request": {
			list: "1-20", log: "1-4 6-20", erased: "5@21*",
			checkpoint: connector.Checkpoint{Sequence: 21, Certified: 21}, want: "on request 1; restored 1",
		},
		"erased from the quarantine": {
			list: "1-9 50 10-20", unfit: "51", log: "1-20", erased: "50@0 51@0", checkpoint: all, want: "on request 2",
		},
		"doubled, and erased on request twice": {
			list: "1-20", log: "1-4 6-20", erased: "5 5@21", checkpoint: connector.Checkpoint{Sequence: 21, Certified: 21},
			want: "on request 1",
		},
		"erased on request, and broken off": {
			list: "1-20", log: "1-5 7-20", erased: "5 6", checkpoint: all, want: "unfinished 1; on request 1",
		},
		"a window": {
			list: "11-20", log: "1-4 6-13 15-20", checkpoint: all, since: 11, want: "missing m14@14",
		},
		"a window of which the log has nothing": {
			list: "21-25", log: "1-20", checkpoint: all, since: 21, want: "not yet 5",
		},
		"a window, and what is wrong below it": {
			list: "11-20", log: "1-4 4 6! 7-20", checkpoint: all, since: 11,
		},
		"a window whose first is missing": {
			list: "11-20", log: "1-10 12-20", checkpoint: all, since: 11,
			want: "missing m11",
		},
	} {
		t.Run(name, func(t *testing.T) {
			log := NewLogged()
			for _, token := range numbers(c.log) {
				if err := log.Add(connector.StoredRecord{Event: eventOf(t, token)}); err != nil {
					t.Fatal(err)
				}
			}
			for _, key := range keysOf(c.rejects) {
				log.rejects[key] = "bad"
			}
			log.AddErased(erasedOf(t, c.erased), c.checkpoint.Sequence)
			list := NewListed(nil, func(key connector.Key) bool { return !log.Has(key) })
			for _, key := range keysOf(c.unfit) {
				list.unfit = append(list.unfit, unfit{key, "bad"})
				list.decoder.names[key] = "m51"
			}
			for to, text := range map[*[]record]string{&list.rows: c.list, &list.late: c.late} {
				for _, token := range numbers(text) {
					r, err := list.decoder.decode(eventOf(t, token))
					if err != nil {
						t.Fatal(err)
					}
					*to = append(*to, r)
				}
			}
			var since time.Time
			if c.since > 0 {
				since = connectortest.Minute(c.since)
			}
			findings, missing, _ := Compare(list, log, c.checkpoint, since)
			got := findings.text()
			if got != c.want {
				t.Errorf("found %q, want %q", got, c.want)
			}
			if len(missing) != len(findings.Missing) {
				t.Errorf("%d keys for %d missing messages", len(missing), len(findings.Missing))
			}
			wrong := []string{"missing", "doubled", "disordered", "changed", "erased", "unfinished"}
			if first, _, _ := strings.Cut(c.want, " "); findings.Wrong() != slices.Contains(wrong, first) {
				t.Errorf("it is wrong: %v", findings.Wrong())
			}
		})
	}
}

// erasedOf lists what was erased, by tokens as in eventOf.
func erasedOf(t *testing.T, text string) (erased []connector.Seen) {
	t.Helper()
	for _, token := range numbers(text) {
		plain := strings.TrimRight(token, "*")
		number, place, moved := strings.Cut(plain, "@")
		if !moved {
			place = number
		}
		n, _ := strconv.Atoi(number)
		sequence, _ := strconv.ParseUint(place, 10, 64)
		erased = append(erased, connector.Seen{
			Key: connectortest.Message(n).Key, Sequence: sequence, Late: plain != token,
		})
	}
	return connector.SortErased(erased)
}

// Order is defined within a partition only, not between two of them.
func TestCompare_Partitions(t *testing.T) {
	log := NewLogged()
	list := NewListed(nil, func(connector.Key) bool { return false })
	for part, text := range []string{"1 3 5 8 7", "2 4 6 9 10"} {
		for _, token := range numbers(text) {
			if err := log.Add(connector.StoredRecord{Part: part, Event: eventOf(t, token)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, token := range numbers("1-10") {
		r, err := list.decoder.decode(eventOf(t, token))
		if err != nil {
			t.Fatal(err)
		}
		list.rows = append(list.rows, r)
	}
	findings, _, _ := Compare(list, log, connector.Checkpoint{Sequence: 10, Certified: 10}, time.Time{})
	if got := findings.text(); got != "disordered m8@8" && got != "disordered m7@7" {
		t.Errorf("found %q", got)
	}
}

func TestInOrder(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "1": "1", "1 2 3": "111", "9 1 2 3": "0111", "1 2 9 3 4": "11011", "1 2 3 0": "1110", "5 5 6": "011",
		"3 2 1": "001",
	} {
		var sequences []uint64
		for field := range strings.FieldsSeq(text) {
			n, _ := strconv.ParseUint(field, 10, 64)
			sequences = append(sequences, n)
		}
		got := ""
		for _, in := range inOrder(sequences) {
			got += map[bool]string{true: "1", false: "0"}[in]
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

// A digest covers what an event says, not how it was written or when it was recorded.
func TestDecoder(t *testing.T) {
	const event = `{"id":"%s","type":"p.message.received","subject":"c","time":"2026-01-01T00:00:00Z","sequence":"00000000000000000007","recordedtime":"%s",%s"data":%s}`
	const row = `{"uuid":"x","text":"a","recorded_at":"%s","item":"{}"}`
	d := newDecoder()
	read := func(id, recorded, more, data string) record {
		t.Helper()
		r, err := d.decode([]byte(fmt.Sprintf(event, id, recorded, more, data)))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	first := read("x", "1", ``, `{"a": 1, "b":"c d"}`)
	if first.sequence != 7 || first.time != 1767225600 || first.row || first.late {
		t.Errorf("%+v", first)
	}
	for what, same := range map[string]bool{
		`{"a":1,"b":"c d"}`: true, `{"a":1,"b":"c  d"}`: false, `{"b":"c d","a":1}`: false,
	} {
		if got := read("x", "2", `"late":true,`, what); (got.digest == first.digest) != same || !got.late {
			t.Errorf("%s: the same is %v, want %v", what, !same, same)
		}
	}
	one, other := read("x", "1", ``, fmt.Sprintf(row, "1")), read("x", "1", ``, fmt.Sprintf(row, "2"))
	if !one.row || one.digest != other.digest {
		t.Error("a row changes with the time at which it was recorded")
	}
	edited := strings.Replace(fmt.Sprintf(row, "1"), `"a"`, `"b"`, 1)
	if changed := read("x", "1", ``, edited); changed.digest == one.digest {
		t.Error("a row whose text was changed passes for the same")
	}
	const uuid = "MSG3e16d2e5-252d-4fc8-9708-d6d1745e7412"
	if uuidOf(connector.MessageKey(uuid)) != uuid || read(uuid, "1", ``, `1`).key != connector.MessageKey(uuid) {
		t.Error("a uuid is not told by its key")
	}
	for _, broken := range []string{"", "{", `{"id":"x"}`, `{"sequence":"7"}`, `{"id":"x","sequence":"0","data":1}`} {
		if _, err := d.decode([]byte(broken)); err == nil {
			t.Errorf("%q is taken for an event", broken)
		}
	}
	reject := connector.Reject{Key: connectortest.Message(4).Key, Reason: "no uuid"}
	text, err := reject.AppendJSON(nil, connector.Stream{Name: "a"}, "p")
	if err != nil {
		t.Fatal(err)
	}
	if key, reason, err := decodeReject(text); err != nil || key != reject.Key || reason != "no uuid" {
		t.Errorf("%v, %q, %v", key, reason, err)
	}
}

// What the log lacks is kept for a repair, as far as there is room.
func TestListed_Keeps(t *testing.T) {
	list := NewListed(nil, func(key connector.Key) bool { return key != connectortest.Message(2).Key })
	list.most = 20
	var events []connector.Event
	for n := 1; n <= 4; n++ {
		m := connectortest.Message(n)
		m.Data = []byte(`{"a":12}`)
		events = append(events, connector.NewEvent(connector.Stream{Name: "a"}, m, connector.EventSettings{},
			connectortest.Minute(n), uint64(n), n == 4))
	}
	if err := list.Commit(t.Context(), events, nil, connector.Checkpoint{}); err != nil {
		t.Fatal(err)
	}
	var kept []string
	for _, n := range []int{1, 2, 3, 4} {
		m, lacking := list.kept[connectortest.Message(n).Key]
		kept = append(kept, fmt.Sprint(m.Message.UUID, lacking))
	}
	if want := []string{"m1true", "false", "m3true", "true"}; !slices.Equal(kept, want) {
		t.Errorf("kept %v, want %v", kept, want)
	}
	if len(list.rows) != 3 || len(list.late) != 1 {
		t.Errorf("%d rows, %d late", len(list.rows), len(list.late))
	}
}
