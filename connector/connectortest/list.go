package connectortest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// List is a message list, newest first, that changes only when a test changes it.
type List struct {
	PageSize int // messages a page

	Mu    sync.Mutex
	Rows  []connector.Message
	Asked []int // page numbers, in the order of the requests
	When  []time.Time
	// Before runs before a request is answered; calls counts from 1. If it returns an error, that is the answer.
	Before func(call, number int) error
	// Raw replaces the answer to a page number.
	Raw map[int]connector.Page
	// Later is added to the time at which pages are received.
	Later time.Duration
}

// Add puts messages on top of the list, the first one topmost.
func (l *List) Add(rows ...connector.Message) { l.Rows = slices.Concat(rows, l.Rows) }

// Under inserts a message right below the nth.
func (l *List) Under(n int, m connector.Message) {
	l.Rows = slices.Insert(l.Rows, l.Place(n)+1, m)
}

// Remove removes the nth message from the list.
func (l *List) Remove(n int) { l.Rows = slices.Delete(l.Rows, l.Place(n), l.Place(n)+1) }

// Place is the row of the nth message, counted from 0. It panics if the message is not listed.
func (l *List) Place(n int) int {
	i := slices.IndexFunc(l.Rows, func(m connector.Message) bool { return m.Key == Message(n).Key })
	if i < 0 {
		panic(fmt.Sprintf("message %d is not listed", n))
	}
	return i
}

// Page implements connector.Pages.
func (l *List) Page(_ context.Context, _ connector.Stream, number int, held connector.Fingerprint) (connector.Page,
	error,
) {
	l.Mu.Lock()
	defer l.Mu.Unlock()
	l.Asked, l.When = append(l.Asked, number), append(l.When, time.Now())
	if l.Before != nil {
		if err := l.Before(len(l.Asked), number); err != nil {
			return connector.Page{}, err
		}
	}
	page, ok := l.Raw[number]
	if !ok {
		from, to := min(number*l.PageSize, len(l.Rows)), min((number+1)*l.PageSize, len(l.Rows))
		page = connector.Page{Messages: slices.Clone(l.Rows[from:to])}
	}
	sum := sha256.New()
	for _, m := range page.Messages {
		fmt.Fprintf(sum, "%x %v %s\n", m.Key, m.Time, m.Data)
		page.Bytes += len(m.Data)
	}
	page.Number, page.Received, page.Fingerprint = number, time.Now().Add(l.Later), connector.Fingerprint(sum.Sum(nil))
	if held == page.Fingerprint {
		page.Messages, page.Unchanged = nil, true
	}
	return page, nil
}

// Requests returns the page numbers requested since its last call.
func (l *List) Requests() string {
	l.Mu.Lock()
	defer l.Mu.Unlock()
	text := strings.Trim(fmt.Sprint(l.Asked), "[]")
	l.Asked = nil
	return text
}

// Times returns when pages were requested since its last call.
func (l *List) Times() []time.Time {
	l.Mu.Lock()
	defer l.Mu.Unlock()
	when := l.When
	l.When = nil
	return when
}

// Change changes the list while a poller reads it.
func (l *List) Change(f func()) {
	l.Mu.Lock()
	defer l.Mu.Unlock()
	f()
}
