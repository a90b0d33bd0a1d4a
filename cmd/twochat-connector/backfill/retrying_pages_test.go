package backfill

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/history"
	"github.com/twochat-connector/twochat-connector/connector/reader"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// troubled is a list that stands still, with pages of that many messages. Now and then a page cannot be read.
type troubled struct {
	pages   int
	trouble func(call int, now time.Time) error // nil means no trouble

	mu    sync.Mutex
	calls int
	when  []time.Time // times of the calls that failed
}

const troubledPage = 100

func troubledMessage(n int) connector.Message {
	uuid := fmt.Sprint("m", n)
	return connector.Message{
		UUID: uuid, Key: connector.MessageKey(uuid), Time: time.Unix(int64(1_700_000_000-60*n), 0), SentBy: "user",
		Chat: "chat", Data: fmt.Appendf(nil, `{"uuid":%q}`, uuid),
	}
}

func (l *troubled) Page(_ context.Context, _ connector.Stream, number int, _ connector.Fingerprint) (connector.Page,
	error,
) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	if l.trouble != nil {
		if err := l.trouble(l.calls, time.Now()); err != nil {
			l.when = append(l.when, time.Now())
			return connector.Page{}, err
		}
	}
	page := connector.Page{
		Number: number, Received: time.Now(),
		Fingerprint: connector.Fingerprint(fmt.Sprint("page ", number)),
	}
	for i := number * troubledPage; number < l.pages && i < (number+1)*troubledPage; i++ {
		page.Messages = append(page.Messages, troubledMessage(i))
	}
	return page, nil
}

// backfillOf is a backfill of a whole list; it returns its output too. The floor is the list's first message.
func backfillOf(list *troubled) (*Engine, *clitest.Output) {
	c, log := config.Default(), &clitest.Output{}
	// In a synctest bubble no time passes while somebody waits for a lock that a waiting request holds.
	c.Poll.Concurrency = 1
	c.TwoChat.Streams = []config.StreamConfig{{Number: twochattest.DefaultNumber, Name: "support"}}
	b := &Engine{
		config: &c, live: c.Streams()[0], start: connector.Start{Beginning: true},
		view: newView(log, "support-history"), began: time.Now(),
	}
	b.logger = slog.New(slog.NewTextHandler(b.view, nil))
	b.view.logger = b.logger
	pages := newPaidPages(list)
	pages.setRate(60)
	b.spare = &Spare{pages: pages, retrying: newRetryingPages(pages)}
	floor := connector.Checkpoint{Started: true, Floor: []connector.Key{troubledMessage(0).Key}}
	b.history = history.New(b.spare, b.live, floor, troubledPage)
	return b, log
}

func faultOf(fault connector.PageFault, status int, after time.Duration) error {
	return &connector.PageError{Fault: fault, Status: status, RetryAfter: after, Err: errors.New("no")}
}

// first makes n calls fail, from the third on, which is in the middle of measuring.
func first(n int, err error) func(int, time.Time) error {
	return func(call int, _ time.Time) error {
		if call > 2 && call <= 2+n {
			return err
		}
		return nil
	}
}

// during makes calls fail for that long, beginning with a certain call.
func during(d time.Duration, from int, err error) func(int, time.Time) error {
	var began time.Time
	return func(call int, now time.Time) error {
		if call < from {
			return nil
		}
		if began.IsZero() {
			began = now
		}
		if now.Sub(began) < d {
			return err
		}
		return nil
	}
}

// Measuring waits out every fault that waiting can fix, however long it takes, and says so. Any other fault ends it at
// once.
func TestBackfill_MeasuresPatiently(t *testing.T) {
	for name, row := range map[string]struct {
		trouble     func(int, time.Time) error
		least, most time.Duration // of the measurement
		calls       int           // failed calls, at most
		log         []string
		fails       string
	}{
		"nothing": {nil, 0, time.Minute, 0, nil, ""},
		"not answered for a while": {
			first(12, faultOf(connector.FaultTransient, 503, 0)), time.Minute, 20 * time.Minute, 12,
			[]string{"it goes on by itself", "waits for 2Chat", "HTTP 503"},
			"",
		},
		"nonsense answered": {
			first(7, faultOf(connector.FaultInvalid, 200, 0)), 5 * time.Second, 5 * time.Minute, 7,
			[]string{"waits for 2Chat"},
			"",
		},
		"limit used up": {
			first(8, faultOf(connector.FaultRateLimited, 429, 0)), 8 * time.Minute, 12 * time.Minute, 8,
			[]string{"waits for the rate limit", "HTTP 429"},
			"",
		},
		"told when to ask again": {
			first(6, faultOf(connector.FaultRateLimited, 429, 10*time.Minute)), 6 * 10 * time.Minute, 6 * 30 * time.Minute, 6,
			[]string{"waits for the rate limit"},
			"",
		},
		"told so without a limit": {
			first(6, faultOf(connector.FaultTransient, 503, 10*time.Minute)), 6 * 10 * time.Minute,
			6 * 12 * time.Minute, 6, nil, "",
		},
		"no credits": {
			during(8*time.Hour, 3, faultOf(connector.FaultCredits, 402, 0)), 8 * time.Hour, 8*time.Hour + 46*time.Minute, 40,
			[]string{"it goes on by itself", "waits for credits", "HTTP 402", "top up the account"},
			"",
		},
		"a list that moves": {first(9, reader.ErrMoved), 5 * time.Second, 10 * time.Minute, 9, nil, ""},
		"wrong key":         {first(1, faultOf(connector.FaultKey, 401, 0)), 0, time.Minute, 1, nil, "key (HTTP 401)"},
		"missing number":    {first(1, faultOf(connector.FaultNumber, 404, 0)), 0, time.Minute, 1, nil, "number (HTTP 404)"},
		"refused": {
			first(1, faultOf(connector.FaultRequest, 422, 0)), 0, time.Minute, 1, nil,
			"request (HTTP 422)",
		},
		"key wrong after a while": {func(call int, now time.Time) error {
			if call < 8 {
				return faultOf(connector.FaultTransient, 503, 0)
			}
			return faultOf(connector.FaultKey, 401, 0)
		}, time.Second, 5 * time.Minute, 8, nil, "key (HTTP 401)"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				list := &troubled{pages: 37, trouble: row.trouble}
				b, log := backfillOf(list)
				began := time.Now()
				err := b.measure(t.Context())
				if took := time.Since(began); took < row.least || took > row.most {
					t.Errorf("it took %v, want %v to %v", took, row.least, row.most)
				}
				if len(list.when) > row.calls {
					t.Errorf("%d calls were in vain, want at most %d", len(list.when), row.calls)
				}
				clitest.WantText(t, "log", log.String(), row.log...)
				if row.fails != "" {
					fatal := b.spare.pages.fatal()
					if err == nil || fatal == nil {
						t.Fatalf("error %v, fatal %v", err, fatal)
					}
					clitest.WantText(t, "error", fatal.Error(), row.fails)
					return
				}
				if err != nil || b.extent.Pages != 37 || b.view.extent != b.extent {
					t.Errorf("%+v, %v", b.extent, err)
				}
			})
		})
	}
}

// A measurement that waits can be stopped at once.
func TestBackfill_MeasuringIsStopped(t *testing.T) {
	for name, err := range map[string]error{
		"credits":           faultOf(connector.FaultCredits, 402, 0),
		"a list that moves": reader.ErrMoved,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, _ := backfillOf(&troubled{pages: 5, trouble: func(int, time.Time) error { return err }})
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				began := time.Now()
				if err := b.measure(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Hour {
					t.Errorf("%v after %v", err, time.Since(began))
				}
			})
		})
	}
}

// A backfill waits for credits with few calls, and reads the whole history in the end. A pause does not count as slow
// progress.
func TestBackfill_GoesOnWhenCreditsAreBack(t *testing.T) {
	for _, without := range []time.Duration{time.Minute, 3 * time.Hour, 40 * time.Hour} {
		t.Run(without.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				list := &troubled{pages: 300}
				b, log := backfillOf(list)
				if err := b.measure(t.Context()); err != nil {
					t.Fatal(err)
				}
				list.trouble = during(without, list.calls+150, faultOf(connector.FaultCredits, 402, 0))
				sink, began := &clitest.MemorySink{}, time.Now()
				claim := connector.Claim{Stream: connector.HistoryStream(b.live)}
				if err := b.read(t.Context(), sink, claim); err != nil {
					t.Fatal(err)
				}
				if n := sink.Count(claim.Stream.Name); !b.view.done || n != 300*troubledPage {
					t.Errorf("done %t, %d messages", b.view.done, n)
				}
				took, reading := time.Since(began), 8*time.Minute
				if least, most := without, without+46*time.Minute+reading; took < least || took > most {
					t.Errorf("it took %v, want %v to %v", took, least, most)
				}
				if most := 8 + int(without/(7*time.Minute)); len(list.when) > most {
					t.Errorf("%d calls were in vain, want at most %d", len(list.when), most)
				}
				clitest.WantText(t, "log", log.String(), "it goes on by itself", "waits for credits", "HTTP 402",
					"top up the account")
				if lines := strings.Count(log.String(), "waits for credits"); lines > 12+int(without/logHeldEvery) {
					t.Errorf("%d lines of the log in %v", lines, without)
				}
				if speed, _ := b.view.pace(time.Now()); speed < 300*troubledPage/(2*reading).Seconds() {
					t.Errorf("%.0f messages a second", speed)
				}
			})
		})
	}
}
