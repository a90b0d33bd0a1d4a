package quota

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// answeringAccount is an account with given answers. What a test reads and changes while it is watched is guarded by
// mu.
type answeringAccount struct {
	mu    sync.Mutex
	info  connector.AccountInfo
	err   error
	ready error
	asked []time.Time
}

func (a *answeringAccount) Ready() error { return a.ready }

func (a *answeringAccount) Info(context.Context) (connector.AccountInfo, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, time.Now())
	return a.info, a.err
}

// askedSince returns how often the account was read since the last call, and makes it answer with err from now on.
func (a *answeringAccount) askedSince(err error) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := len(a.asked)
	a.asked, a.err = nil, err
	return n
}

// accountOf makes an account of one stream, and returns its log.
func accountOf(client AccountClient, requestsPerMinute int) (*Account, *bytes.Buffer) {
	var log bytes.Buffer
	return NewAccount(AccountConfig{
		Client: client, RequestsPerMinute: requestsPerMinute, Streams: 1, MinInterval: time.Second,
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	}), &log
}

// The account is read at the beginning and then hourly, and sooner after a failure. Its rate is kept if none is
// configured, and the last reading stays in force.
func TestAccount_Watch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := &answeringAccount{info: connector.AccountInfo{RequestsPerMinute: 60, Usage: 5, MaxUsage: 1000}}
		a, log := accountOf(client, 0)
		if got := a.RequestsPerMinute(); got != DefaultRequestsPerMinute {
			t.Errorf("%d requests a minute before the first reading", got)
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		a.Begin(ctx)
		if got := a.Status(); got.AccountInfo != client.info || a.RequestsPerMinute() != 60 || !got.Asked.Equal(time.Now()) {
			t.Errorf("after the first reading: %+v, %d requests a minute", got, a.RequestsPerMinute())
		}
		go a.Watch(ctx)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		noAnswer := errors.New("no answer")
		if n := client.askedSince(noAnswer); n < 25 || n > 27 {
			t.Errorf("read %d times in a day", n)
		}
		time.Sleep(4 * time.Hour)
		synctest.Wait()
		if n := client.askedSince(noAnswer); n < 6 || n > 20 {
			t.Errorf("read %d times in four hours without an answer", n)
		}
		got := a.Status()
		if got.AccountInfo != client.info || got.Cause != "no answer" || a.RequestsPerMinute() != 60 {
			t.Errorf("without an answer: %+v", got)
		}
		if n := strings.Count(log.String(), "cannot be read"); n != 1 {
			t.Errorf("told %d times:\n%s", n, log)
		}
	})
}

// A configured rate takes precedence over the account's, and without a key no request is made.
func TestAccount_Begin(t *testing.T) {
	client := &answeringAccount{info: connector.AccountInfo{RequestsPerMinute: 600}, ready: errors.New("no key")}
	a, _ := accountOf(client, 30)
	a.Begin(t.Context())
	if len(client.asked) > 0 {
		t.Error("asked without a key")
	}
	client.ready = nil
	a.Begin(t.Context())
	if len(client.asked) != 1 || a.RequestsPerMinute() != 30 {
		t.Errorf("asked %d times, %d requests a minute", len(client.asked), a.RequestsPerMinute())
	}
}

// A call is in flight from when it was paid for until its page has arrived.
func TestAccount_InFlight(t *testing.T) {
	a, _ := accountOf(&answeringAccount{}, 30)
	pages := a.Pages(&answeredPages{})
	for range 3 {
		if !a.Take() || a.inFlight.Load() != 1 {
			t.Fatalf("%d calls in flight", a.inFlight.Load())
		}
		_, _ = pages.Page(t.Context(), connector.Stream{}, 0, "")
		if a.inFlight.Load() != 0 {
			t.Fatalf("%d calls in flight after the page", a.inFlight.Load())
		}
	}
	if a.calls.Load() != 3 {
		t.Errorf("%d calls", a.calls.Load())
	}
}
