package connector

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// list is a message list, newest first, that changes only where a test says so.
type list struct {
	page int // messages a page

	mu    sync.Mutex
	rows  []Message
	asked []int // page numbers, in the order in which they were asked for
	when  []time.Time
	// before runs before a request is answered; calls counts from 1. An error is the answer.
	before func(call, number int) error
	// raw stands in for the answer to a page number.
	raw map[int]Page
	// later is how much later pages are received than it is.
	later time.Duration
}

// message is the nth message of a chat, one a minute.
func message(n int) Message {
	uuid := fmt.Sprint("m", n)
	return Message{
		UUID: uuid, Key: MessageKey(uuid), Time: minute(n), SentBy: "user", Chat: "chat", Data: fmt.Appendf(nil, `{"uuid":%q}`, uuid),
	}
}

// newest makes the messages from high down to low, as a list shows them.
func newest(high, low int) []Message {
	var rows []Message
	for n := high; n >= low; n-- {
		rows = append(rows, message(n))
	}
	return rows
}

// bad is a message that cannot become an event.
func bad(n int) Message {
	m := message(n)
	m.Fault, m.UUID = "no uuid", ""
	return m
}

// at gives a message another time.
func at(m Message, t time.Time) Message {
	m.Time = t
	return m
}

// add puts messages on top of the list, the first one topmost.
func (l *list) add(rows ...Message) { l.rows = slices.Concat(rows, l.rows) }

// under puts a message right below the nth.
func (l *list) under(n int, m Message) {
	l.rows = slices.Insert(l.rows, l.place(n)+1, m)
}

func (l *list) remove(n int) { l.rows = slices.Delete(l.rows, l.place(n), l.place(n)+1) }

func (l *list) place(n int) int {
	i := slices.IndexFunc(l.rows, func(m Message) bool { return m.Key == message(n).Key })
	if i < 0 {
		panic(fmt.Sprintf("message %d is not listed", n))
	}
	return i
}

func (l *list) Page(_ context.Context, _ Stream, number int, held Fingerprint) (Page, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked, l.when = append(l.asked, number), append(l.when, time.Now())
	if l.before != nil {
		if err := l.before(len(l.asked), number); err != nil {
			return Page{}, err
		}
	}
	page, ok := l.raw[number]
	if !ok {
		from, to := min(number*l.page, len(l.rows)), min((number+1)*l.page, len(l.rows))
		page = Page{Messages: slices.Clone(l.rows[from:to])}
	}
	sum := sha256.New()
	for _, m := range page.Messages {
		fmt.Fprintf(sum, "%x %v %s\n", m.Key, m.Time, m.Data)
		page.Bytes += len(m.Data)
	}
	page.Number, page.Received, page.Fingerprint = number, time.Now().Add(l.later), Fingerprint(sum.Sum(nil))
	if held == page.Fingerprint {
		page.Messages, page.Unchanged = nil, true
	}
	return page, nil
}

// requests takes the page numbers asked for since it was called last.
func (l *list) requests() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := strings.Trim(fmt.Sprint(l.asked), "[]")
	l.asked = nil
	return text
}

// times takes when pages were asked for since it was called last.
func (l *list) times() []time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	when := l.when
	l.when = nil
	return when
}

// change changes the list while a poller reads it.
func (l *list) change(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

// ledger is a log in memory. It refuses to be used against the contract.
type ledger struct {
	t *testing.T

	mu         sync.Mutex
	events     []Event
	rejects    []Reject
	checkpoint Checkpoint
	limits     Limits
	erased     map[uint64]bool
	acquired   int
	commits    []Checkpoint // those of Commit
	owned      bool
	unclear    bool
	// answer decides what becomes of a commit; nil writes it. An error with written true writes it all the same.
	answer func(ctx context.Context, events []Event) (written bool, err error)
	// refuse decides what becomes of an Acquire.
	refuse func() error
	// twin is another owner's checkpoint, as Peek sees it.
	twin func() Checkpoint
}

func (l *ledger) Acquire(context.Context) (State, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse != nil {
		if err := l.refuse(); err != nil {
			return State{}, err
		}
	}
	claim := Claim{Stream: Stream{Name: "a", SourceKey: "k"}, Instance: fmt.Sprint("instance ", l.acquired)}
	l.checkpoint = claim.TakeOver(l.checkpoint, time.Now())
	l.acquired, l.owned, l.unclear = l.acquired+1, true, false
	state := State{Checkpoint: l.checkpoint}
	for _, e := range l.events {
		if !l.erased[e.Sequence] {
			state.Seen = append(state.Seen, Seen{e.Key, e.Sequence, e.Late})
		}
	}
	return state, nil
}

func (l *ledger) Commit(ctx context.Context, events []Event, rejects []Reject, next Checkpoint) error {
	events, rejects = slices.Clone(events), slices.Clone(rejects)
	l.mu.Lock()
	answer := l.answer
	if l.unclear || !l.owned {
		l.t.Error("a commit without a successful Acquire before it")
	}
	l.mu.Unlock()
	written, err := true, error(nil)
	if answer != nil {
		written, err = answer(ctx, events)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !written {
		l.unclear = err != nil && !settled(err)
		return err
	}
	for i := range events {
		if want := uint64(len(l.events)) + 1; events[i].Sequence != want {
			l.t.Errorf("event %s has sequence %d, want %d", events[i].ID, events[i].Sequence, want)
		}
		if slices.ContainsFunc(l.events, func(e Event) bool { return e.Key == events[i].Key }) {
			l.t.Errorf("event %s stands twice", events[i].ID)
		}
		l.events = append(l.events, events[i])
	}
	if next.Sequence != uint64(len(l.events)) || next.Certified < l.checkpoint.Certified || next.Certified > next.Sequence {
		l.t.Errorf("the checkpoint says sequence %d and certified %d (was %d) after %d events", next.Sequence, next.Certified, l.checkpoint.Certified, len(l.events))
	}
	l.rejects, l.checkpoint, l.commits = append(l.rejects, rejects...), next, append(l.commits, next)
	l.unclear = err != nil
	return err
}

// settled says whether an error says for certain that nothing was written.
func settled(err error) bool {
	var rejected *Rejected
	return errors.As(err, &rejected) || errors.Is(err, ErrFenced) || errors.Is(err, ErrNotNow)
}

func (l *ledger) Peek(context.Context) (Checkpoint, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.twin != nil {
		return l.twin(), true, nil
	}
	return l.checkpoint, l.acquired > 0, nil
}

func (l *ledger) Limits() Limits {
	if l.limits == (Limits{}) {
		return Limits{Messages: 1000, Bytes: 1 << 20}
	}
	return l.limits
}

func (l *ledger) Close() error { return nil }

// counts says how often the ledger was acquired and committed to, and returns its checkpoint.
func (l *ledger) counts() (acquired, commits int, checkpoint Checkpoint) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acquired, len(l.commits), l.checkpoint
}

// text is the log in one line: the events' ids, a star after a late one.
func (l *ledger) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var ids []string
	for _, e := range l.events {
		if e.Late {
			e.ID += "*"
		}
		ids = append(ids, e.ID)
	}
	return strings.Join(ids, " ")
}

// ids is what text says of messages in order.
func ids(from, to int) string {
	var ids []string
	for n := from; n <= to; n++ {
		ids = append(ids, fmt.Sprint("m", n))
	}
	return strings.Join(ids, " ")
}

// impatient gives up a step at the first thing that does not work.
type impatient struct{}

func (impatient) Page(_ context.Context, fault *PageError) error { return fault }
func (impatient) Commit(_ context.Context, cause error) error    { return cause }

// patient tries again, so many times.
type patient struct{ pages, commits int }

func (p *patient) Page(_ context.Context, fault *PageError) error {
	if p.pages--; p.pages < 0 {
		return fault
	}
	return nil
}

func (p *patient) Commit(_ context.Context, cause error) error {
	if p.commits--; p.commits < 0 {
		return cause
	}
	return nil
}
