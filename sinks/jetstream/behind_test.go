package jetstream

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// lens is a JetStream API that simulates servers that are behind: it passes requests on, and answers some of them
// itself.
type lens struct {
	conn *natsgo.Conn

	mu     sync.Mutex
	answer func(subject string, m *natsgo.Msg) bool // reports whether it has answered
}

const lensPrefix = "LENS.API"

func startLens(t *testing.T, s *testServer) *lens {
	t.Helper()
	conn, err := natsgo.Connect(s.url())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	l := &lens{conn: conn}
	if _, err := conn.Subscribe(lensPrefix+".>", func(m *natsgo.Msg) {
		subject := strings.TrimPrefix(m.Subject, lensPrefix+".")
		l.mu.Lock()
		answer := l.answer
		l.mu.Unlock()
		if answer != nil && answer(subject, m) {
			return
		}
		m.Subject, m.Header = "$JS.API."+subject, nil
		// A request that a sink makes while it closes may arrive after the test has ended.
		if err := conn.PublishMsg(m); err != nil && !errors.Is(err, natsgo.ErrConnectionClosed) {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	return l
}

// shows makes the lens answer by itself; nil lets everything through.
func (l *lens) shows(answer func(subject string, m *natsgo.Msg) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answer = answer
}

// real asks the server.
func (l *lens) real(t *testing.T, subject string, data []byte) []byte {
	m, err := l.conn.Request("$JS.API."+subject, data, 5*time.Second)
	if err != nil {
		t.Error(err)
		return nil
	}
	return m.Data
}

// replicated makes the stream look as if it had three replicas.
func (l *lens) replicated(t *testing.T, subject string, m *natsgo.Msg) bool {
	if !strings.HasPrefix(subject, "STREAM.INFO.") {
		return false
	}
	if err := m.Respond([]byte(strings.Replace(string(l.real(t, subject, m.Data)), `"num_replicas":1`, `"num_replicas":3`,
		1))); err != nil {
		t.Error(err)
	}
	return true
}

// stale answers reads of the newest message like a leader that was cut off when the stream ended at this stream
// sequence.
func (l *lens) stale(t *testing.T, at uint64, subject string, m *natsgo.Msg) bool {
	if !strings.HasPrefix(subject, "STREAM.MSG.GET.") {
		return false
	}
	var q query
	if err := json.Unmarshal(m.Data, &q); err != nil {
		t.Error(err)
	}
	if q.Last == "" {
		return false
	}
	data := []byte(`{"type":"io.nats.jetstream.api.v1.stream_msg_get_response","error":{"code":404,"err_code":10037,"description":"no message found"}}`)
	for seq := at; seq > 0; seq-- {
		got := l.real(t, subject, []byte(`{"seq":`+strconv.FormatUint(seq, 10)+`}`))
		var answer struct {
			Message stored `json:"message"`
		}
		if json.Unmarshal(got, &answer) == nil && answer.Message.Sequence == seq &&
			covered([]string{q.Last}, answer.Message.Subject) {
			data = got
			break
		}
	}
	if err := m.Respond(data); err != nil {
		t.Error(err)
	}
	return true
}

// thirty is a log of thirty events, seen through a lens as one with replicas; at is the stream's end after each of
// them.
func thirty(t *testing.T, window int) (s *testServer, l *lens, c Config, claim connector.Claim,
	at func(event uint64) uint64,
) {
	t.Helper()
	s, c = startStream(t)
	claim = sinktest.Claim(stream, "two")
	claim.Window = window
	log, checkpoint := own(t, c, connector.ModeStructured)
	ends := map[uint64]uint64{0: log.last}
	for range 30 {
		checkpoint = commit(t, log, checkpoint, sinktest.Events(log.claim.Stream, checkpoint.Sequence+1, 1))
		ends[checkpoint.Sequence] = log.last
	}
	// The tail in the checkpoint would be enough, were it not for one event that was erased.
	js := s.client(t)
	for _, m := range all(t, js, DefaultStream, "whatsapp.>")[:1] {
		if err := js.DeleteMsg(DefaultStream, m.Sequence); err != nil {
			t.Fatal(err)
		}
	}
	l = startLens(t, s)
	l.shows(func(subject string, m *natsgo.Msg) bool { return l.replicated(t, subject, m) })
	c.APIPrefix, c.Timeout = lensPrefix, 2*time.Second
	return s, l, c, claim, func(event uint64) uint64 { return ends[event] }
}

// wantWhole checks that all thirty events except for the erased one were found.
func wantWhole(t *testing.T, state connector.State) {
	t.Helper()
	if n := len(state.Seen); state.Checkpoint.Sequence != 30 || n != 29 || state.Seen[n-1].Sequence != 30 {
		t.Fatalf("sequence %d, %d events", state.Checkpoint.Sequence, n)
	}
}

// TestAcquire_besideAStaleLeader: after the take-over, the newest event is read from a server that no longer leads and
// does not know it.
func TestAcquire_besideAStaleLeader(t *testing.T) {
	t.Parallel()
	for _, knows := range []uint64{20, 0} {
		t.Run(strconv.FormatUint(knows, 10), func(t *testing.T) {
			t.Parallel()
			s, l, c, claim, at := thirty(t, 1_000)
			log := openLog(t, openSink(t, c, connector.ModeStructured), claim)
			l.shows(func(subject string, m *natsgo.Msg) bool {
				var q query
				if json.Unmarshal(m.Data, &q) == nil && q.Last == log.events && l.stale(t, at(knows), subject, m) {
					return true
				}
				return l.replicated(t, subject, m)
			})
			state := acquire(t, log)
			wantWhole(t, state)
			l.shows(nil)
			commit(t, log, state.Checkpoint, sinktest.Events(claim.Stream, 31, 2))
			if n := len(all(t, s.client(t), DefaultStream, "whatsapp.>")); n != 31 {
				t.Errorf("%d events", n)
			}
		})
	}
}

// TestAcquire_behindEverywhere: if no server that answers knows the take-over itself, what they return is not taken
// for the whole log.
func TestAcquire_behindEverywhere(t *testing.T) {
	t.Parallel()
	_, l, c, claim, at := thirty(t, 1_000)
	log := openLog(t, openSink(t, c, connector.ModeStructured), claim)
	looks := 0 // reads of the checkpoint; the first is that of the take-over, which the guard makes safe
	read := func(subject string, m *natsgo.Msg) bool {
		var q query
		if json.Unmarshal(m.Data, &q) != nil || q.Last == "" {
			return false
		}
		if q.Last == log.checkpoint {
			looks++
		}
		return (q.Last == log.events || looks > 1) && l.stale(t, at(20), subject, m)
	}
	l.shows(func(subject string, m *natsgo.Msg) bool {
		// a consumer that returns nothing
		return strings.HasPrefix(subject, "CONSUMER.MSG.NEXT.") || read(subject, m) || l.replicated(t, subject, m)
	})
	if state, err := log.Acquire(t.Context()); err == nil {
		t.Fatalf("taken over with %d events", len(state.Seen))
	}
	l.shows(func(subject string, m *natsgo.Msg) bool { return l.replicated(t, subject, m) })
	wantWhole(t, acquire(t, log))
}

// TestCheck_leaderless: the leader is not elected yet when the permissions are probed. That is not a missing
// permission.
func TestCheck_leaderless(t *testing.T) {
	t.Parallel()
	_, l, c, claim, _ := thirty(t, 1_000)
	var mu sync.Mutex
	left := map[string]int{"STREAM.MSG.GET.": 1, "DIRECT.GET.": 1, "CONSUMER.CREATE.": 1}
	l.shows(func(subject string, m *natsgo.Msg) bool {
		mu.Lock()
		defer mu.Unlock()
		for prefix := range left {
			if left[prefix] > 0 && strings.HasPrefix(subject, prefix) {
				left[prefix]--
				nobody := natsgo.NewMsg(m.Reply)
				nobody.Header.Set("Status", noResponders)
				if err := l.conn.PublishMsg(nobody); err != nil {
					t.Error(err)
				}
				return true
			}
		}
		return l.replicated(t, subject, m)
	})
	findings, err := openSink(t, c, connector.ModeStructured).Check(t.Context(), []connector.Claim{claim})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		if f.Thing == "NATS user" && f.Level != connector.FindingOK {
			t.Errorf("found %+v", f)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for prefix, n := range left {
		if n > 0 {
			t.Errorf("%s was not asked for", prefix)
		}
	}
}

// TestAcquire_laggingReplica: a direct get is answered by a replica that has only a part.
func TestAcquire_laggingReplica(t *testing.T) {
	t.Parallel()
	_, l, c, claim, at := thirty(t, 1_000)
	log := openLog(t, openSink(t, c, connector.ModeStructured), claim)
	asked := 0
	l.shows(func(subject string, m *natsgo.Msg) bool {
		if !strings.HasPrefix(subject, "DIRECT.GET.") {
			return l.replicated(t, subject, m)
		}
		asked++
		sub, err := l.conn.SubscribeSync(natsgo.NewInbox())
		if err != nil {
			t.Error(err)
			return true
		}
		defer sub.Unsubscribe()
		if err := l.conn.PublishRequest("$JS.API."+subject, sub.Subject, m.Data); err != nil {
			t.Error(err)
		}
		for {
			part, err := sub.NextMsg(5 * time.Second)
			if err != nil {
				t.Error(err)
				return true
			}
			sequence, _ := strconv.ParseUint(part.Header.Get(headerStreamSequence), 10, 64)
			if part.Header.Get("Status") != "" || sequence > at(20) {
				end := natsgo.NewMsg(m.Reply)
				end.Header.Set("Status", statusEnd)
				end.Header.Set(headerNumPending, "0")
				if err := l.conn.PublishMsg(end); err != nil {
					t.Error(err)
				}
				return true
			}
			part.Subject, part.Reply = m.Reply, ""
			if err := l.conn.PublishMsg(part); err != nil {
				t.Error(err)
			}
		}
	})
	wantWhole(t, acquire(t, log))
	if asked == 0 {
		t.Error("no direct get was made")
	}
}

// TestAcquire_staleCheckpoint: a take-over is based on an old checkpoint. The guard refuses it.
func TestAcquire_staleCheckpoint(t *testing.T) {
	t.Parallel()
	s, l, c, claim, at := thirty(t, 1_000)
	log := openLog(t, openSink(t, c, connector.ModeStructured), claim)
	left := 2
	l.shows(func(subject string, m *natsgo.Msg) bool {
		var q query
		if left > 0 && json.Unmarshal(m.Data, &q) == nil && q.Last == log.checkpoint {
			left--
			return l.stale(t, at(20), subject, m)
		}
		return l.replicated(t, subject, m)
	})
	state := acquire(t, log)
	wantWhole(t, state)
	if left != 0 {
		t.Error("the stale checkpoint was not read")
	}
	l.shows(func(subject string, m *natsgo.Msg) bool {
		return l.stale(t, at(20), subject, m) || l.replicated(t, subject, m)
	})
	if _, err := openLog(t, openSink(t, c, connector.ModeStructured), claim).Acquire(t.Context()); err == nil {
		t.Error("taken over from a checkpoint that is not the newest")
	}
	if n := len(all(t, s.client(t), DefaultStream, "whatsapp.>")); n != 29 {
		t.Errorf("%d events", n)
	}
}

// TestStanding_staleLeader: an instance that knows more is not refused because of the answer of a server that is
// behind.
func TestStanding_staleLeader(t *testing.T) {
	t.Parallel()
	_, l, c, claim, at := thirty(t, 1_000)
	log := openLog(t, openSink(t, c, connector.ModeStructured), claim)
	checkpoint := acquire(t, log).Checkpoint
	l.shows(func(subject string, m *natsgo.Msg) bool {
		return l.stale(t, at(20), subject, m) || l.replicated(t, subject, m)
	})
	for range 3 {
		if _, err := log.Acquire(t.Context()); !errors.Is(err, connector.ErrNotNow) {
			t.Fatalf("got %v, want ErrNotNow", err)
		}
	}
	// If the answer stays the same for longer than any server is behind, it is true.
	log.back = log.back.Add(-staleFor)
	_, err := log.Acquire(t.Context())
	wantRefused(t, err, "went back from 30 to 20")
	l.shows(func(subject string, m *natsgo.Msg) bool { return l.replicated(t, subject, m) })
	state := acquire(t, log)
	commit(t, log, state.Checkpoint, sinktest.Events(claim.Stream, checkpoint.Sequence+1, 2))
	if !log.back.IsZero() {
		t.Error("the next doubt would be believed at once")
	}
}

// TestAcquire_lostAnswer: the answer to a take-over is lost, and the take-over is repeated.
func TestAcquire_lostAnswer(t *testing.T) {
	t.Parallel()
	s, c := startStream(t)
	p := startProxy(t, s.url())
	c.URL, c.Timeout = p.url(), time.Second
	log, checkpoint := own(t, c, connector.ModeStructured)
	events := sinktest.Events(log.claim.Stream, 1, 10)
	checkpoint = commit(t, log, checkpoint, events[:5])
	for range 3 {
		p.deaf.Store(true)
		if _, err := log.Acquire(t.Context()); !errors.Is(err, connector.ErrNotNow) {
			t.Fatalf("got %v, want ErrNotNow", err)
		}
		p.deaf.Store(false)
		p.cut()
		state := acquireSoon(t, log)
		if state.Checkpoint.Sequence != 5 || len(state.Seen) != 5 || state.Checkpoint.Epoch <= checkpoint.Epoch {
			t.Fatalf("sequence %d, %d events, epoch %d after %d", state.Checkpoint.Sequence, len(state.Seen),
				state.Checkpoint.Epoch, checkpoint.Epoch)
		}
		checkpoint = state.Checkpoint
	}
	commit(t, log, checkpoint, events[5:])
	wantSequences(t, s.client(t), stream, 10)
}
