package quota

import (
	"context"
	"errors"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
)

// answeredPages fails with a given error.
type answeredPages struct{ err error }

func (a *answeredPages) Page(context.Context, connector.Stream, int, connector.Fingerprint) (connector.Page, error) {
	return connector.Page{}, a.err
}

// An answer about the key or the credits of a blocked account is reported as the block, with one hint; any other stays
// unchanged.
func TestAccount_PagesOfABlockedOne(t *testing.T) {
	for _, test := range []struct {
		fault  connector.PageError
		blocks bool
	}{
		{connector.PageError{Fault: connector.FaultKey, Status: 401}, true},
		{connector.PageError{Fault: connector.FaultKey, Status: 403}, true},
		{connector.PageError{Fault: connector.FaultCredits, Status: 402}, true},
		{connector.PageError{Fault: connector.FaultKey}, false}, // the file cannot be read
		{connector.PageError{Fault: connector.FaultNumber, Status: 404}, false},
		{connector.PageError{Fault: connector.FaultTransient, Status: 503}, false},
	} {
		for _, blocked := range []bool{true, false} {
			test.fault.Err = errors.New("no")
			a := NewAccount(AccountConfig{Streams: 1})
			a.reader.status.Blocked = blocked
			_, err := a.Pages(&answeredPages{&test.fault}).Page(t.Context(), connector.Stream{}, 0, "")
			var got *connector.PageError
			if !errors.As(err, &got) {
				t.Fatal(err)
			}
			if is := got.Fault == connector.FaultBlocked; is != (blocked && test.blocks) {
				t.Errorf("%v, blocked %t: %v", test.fault, blocked, got)
			}
			if got.Fault == connector.FaultBlocked && (got.Hint != BlockedHint || got.Status != test.fault.Status) {
				t.Errorf("%v: %+v", test.fault, got)
			}
		}
	}
}

// The account is read again when its pages become unreadable, once until they can be read again: each reading is a
// call.
func TestAccount_IsDoubtedOnce(t *testing.T) {
	a := NewAccount(AccountConfig{Streams: 1})
	answer := &answeredPages{}
	pages := a.Pages(answer)
	asked := 0
	read := func(err error) {
		answer.err = err
		_, _ = pages.Page(t.Context(), connector.Stream{}, 0, "")
		select {
		case <-a.doubts:
			asked++
		default:
		}
	}
	forbidden := &connector.PageError{Fault: connector.FaultKey, Status: 403, Err: errors.New("no")}
	for range 5 {
		read(forbidden)
	}
	if asked != 1 {
		t.Errorf("asked %d times for one incident", asked)
	}
	read(nil)
	read(forbidden)
	if asked != 2 {
		t.Errorf("asked %d times for two incidents", asked)
	}
}
