package quota

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// turns lets callers queue at a limiter and records who is served when.
type turns struct {
	limiter *Limiter
	began   time.Time
	wait    sync.WaitGroup
	mu      sync.Mutex
	order   []string
	at      []time.Duration
}

func newTurns(perMinute float64) *turns {
	return &turns{limiter: NewLimiter(perMinute), began: time.Now()}
}

// queue lets a caller wait behind all that were queued before.
func (s *turns) queue(ctx context.Context, urgency Urgency, name string) {
	s.wait.Go(func() {
		if s.limiter.Wait(ctx, urgency) != nil {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.order, s.at = append(s.order, name), append(s.at, time.Since(s.began))
	})
	synctest.Wait()
}

func TestLimiter_Rate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurns(60)
		for i := range 5 {
			s.queue(t.Context(), Live, fmt.Sprint(i))
		}
		s.wait.Wait()
		if got, want := fmt.Sprint(s.at), "[0s 1s 2s 3s 4s]"; got != want {
			t.Errorf("requests went at %s, want %s", got, want)
		}
		if got := strings.Join(s.order, ""); got != "01234" {
			t.Errorf("who waits longest goes first: the order was %s", got)
		}
	})
}

func TestLimiter_NoLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurns(0)
		for range 100 {
			s.queue(t.Context(), Sweep, "")
		}
		s.wait.Wait()
		if took := time.Since(s.began); took != 0 || len(s.at) != 100 {
			t.Errorf("%d requests took %v", len(s.at), took)
		}
	})
}

func TestLimiter_IdleTimeIsNotSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurns(60)
		time.Sleep(time.Hour)
		s.began = time.Now()
		for range 3 {
			s.queue(t.Context(), Live, "")
		}
		s.wait.Wait()
		if got, want := fmt.Sprint(s.at), "[0s 1s 2s]"; got != want {
			t.Errorf("after an hour's rest requests went at %s, want %s", got, want)
		}
	})
}

func TestLimiter_TheUrgentGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurns(60)
		s.queue(t.Context(), Live, "_") // the free request
		s.queue(t.Context(), Sweep, "s")
		s.queue(t.Context(), CatchUp, "c")
		s.queue(t.Context(), Live, "l")
		s.queue(t.Context(), Live, "m")
		s.wait.Wait()
		if got := strings.Join(s.order, ""); got != "_lmcs" {
			t.Errorf("the order was %s, want _lmcs", got)
		}
	})
}

func TestLimiter_NobodyStarves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurns(60)
		for range 60 {
			s.queue(t.Context(), Live, "l")
		}
		for range 10 {
			s.queue(t.Context(), CatchUp, "c")
			s.queue(t.Context(), Sweep, "s")
		}
		s.wait.Wait()
		head := strings.Join(s.order[:41], "")
		if l, c, n := strings.Count(head, "l"), strings.Count(head, "c"), strings.Count(head, "s"); l != 31 || c != 5 ||
			n != 5 {
			t.Errorf("of 41 turns under load %d were live, %d of a catch-up, %d of a sweep; want 31, 5, 5: %s", l, c, n, head)
		}
	})
}

func TestLimiter_Pause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurns(60)
		s.queue(t.Context(), Live, "first")
		s.queue(t.Context(), Live, "waits already")
		s.limiter.Pause(30 * time.Second)
		s.limiter.Pause(10 * time.Second) // a shorter one does not shorten it
		s.queue(t.Context(), Live, "comes later")
		s.wait.Wait()
		if got, want := fmt.Sprint(s.at), "[0s 30s 31s]"; got != want {
			t.Errorf("requests went at %s, want %s", got, want)
		}
	})
}

func TestLimiter_PauseHoldsWithoutALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurns(0)
		s.limiter.Pause(time.Minute)
		s.queue(t.Context(), Live, "")
		s.queue(t.Context(), Live, "")
		s.wait.Wait()
		if got, want := fmt.Sprint(s.at), "[1m0s 1m0s]"; got != want {
			t.Errorf("requests went at %s, want %s", got, want)
		}
	})
}

func TestLimiter_WhoLeavesTakesNoTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurns(60)
		ctx, cancel := context.WithCancel(t.Context())
		s.queue(t.Context(), Live, "a")
		s.queue(ctx, Live, "leaves")
		s.queue(t.Context(), Live, "b")
		cancel()
		s.wait.Wait()
		if got := fmt.Sprint(s.order, s.at); got != "[a b] [0s 1s]" {
			t.Errorf("it went %s, want [a b] [0s 1s]", got)
		}
		if err := s.limiter.Wait(ctx, Live); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller whose context has ended gets %v", err)
		}
	})
}

func TestLimiter_ALonelyCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurns(1)
		ctx, cancel := context.WithCancel(t.Context())
		s.queue(t.Context(), Live, "a")
		s.queue(ctx, Live, "leaves")
		cancel()
		s.wait.Wait()
		time.Sleep(time.Hour) // nobody waits when the request could go
		s.queue(t.Context(), Live, "b")
		s.queue(t.Context(), Live, "c")
		s.wait.Wait()
		if got := fmt.Sprint(s.order, s.at); got != "[a b c] [0s 1h0m0s 1h1m0s]" {
			t.Errorf("it went %s", got)
		}
	})
}

func TestLimiter_SetRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurns(60)
		for range 6 {
			s.queue(t.Context(), Live, "")
		}
		time.Sleep(1500 * time.Millisecond)
		s.limiter.SetRate(6) // half of a gap is left
		time.Sleep(11 * time.Second)
		s.limiter.SetRate(0)
		s.wait.Wait()
		if got, want := fmt.Sprint(s.at), "[0s 1s 6.5s 12.5s 12.5s 12.5s]"; got != want {
			t.Errorf("requests went at %s, want %s", got, want)
		}
	})
}

// A changed rate does not end a pause that the server asked for; what is left of a gap after it changes.
func TestLimiter_SetRateInAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurns(1)
		s.queue(t.Context(), Live, "a")
		s.limiter.Pause(2 * time.Minute)
		s.queue(t.Context(), Live, "b")
		s.queue(t.Context(), Live, "c")
		s.limiter.SetRate(60)
		s.wait.Wait()
		if got, want := fmt.Sprint(s.at), "[0s 2m0s 2m1s]"; got != want {
			t.Errorf("requests went at %s, want %s", got, want)
		}
		s.limiter.SetRate(1)
		s.queue(t.Context(), Live, "d")
		s.limiter.Pause(2 * time.Second)
		s.queue(t.Context(), Live, "e")
		if s.limiter.SetRate(2); s.limiter.next.Before(s.began.Add(2*time.Minute + 31*time.Second)) {
			t.Errorf("the next goes at %s", s.limiter.next.Sub(s.began))
		}
		s.wait.Wait()
	})
}

// If a request is admitted at the moment in which its caller leaves, it is lost. That costs only this request: no other
// goes sooner, and the next one goes a gap later.
func TestLimiter_ATurnThatComesTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurns(60)
		s.queue(t.Context(), Live, "a")
		late := make(chan struct{}) // of a caller whose context has ended and which has not left the queue yet
		s.limiter.mu.Lock()
		s.limiter.queues[Live] = append(s.limiter.queues[Live], late)
		s.limiter.arm(time.Now())
		s.limiter.mu.Unlock()
		s.queue(t.Context(), Live, "b")
		time.Sleep(time.Second)
		<-late
		s.limiter.leave(Live, late)
		s.queue(t.Context(), Live, "c")
		s.wait.Wait()
		if got := fmt.Sprint(s.order, s.at); got != "[a b c] [0s 2s 3s]" {
			t.Errorf("it went %s", got)
		}
	})
}

func TestLimiter_WhoHasLeftBeforeTakesNoTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurns(60)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.limiter.Wait(ctx, Live); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller whose context has ended gets %v", err)
		}
		s.queue(t.Context(), Live, "a")
		s.wait.Wait()
		if got := fmt.Sprint(s.at); got != "[0s]" {
			t.Errorf("the first caller that is there goes after %s", got)
		}
	})
}

// However bursts and single requests follow each other, no minute has more requests than the rate allows, and a burst
// goes at once.
func TestLimiter_Burst(t *testing.T) {
	const perMinute = 80
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 7))
			l := NewLimiter(perMinute)
			var went []time.Time
			for len(went) < 400 {
				if err := l.Wait(t.Context(), CatchUp); err != nil {
					t.Fatal(err)
				}
				n := 1 + random.IntN(3)
				before, err := l.Burst(t.Context(), CatchUp, n)
				if err != nil {
					t.Fatal(err)
				}
				for i := range n {
					went = append(went, time.Now())
					if i < n-1 {
						time.Sleep(time.Duration(random.Int64N(int64(time.Until(before)) / 4)))
					}
				}
				if random.IntN(20) == 0 { // no requests for a while
					time.Sleep(time.Duration(random.IntN(3000)) * time.Millisecond)
				}
			}
			for i := perMinute; i < len(went); i++ {
				if took := went[i].Sub(went[i-perMinute]); took < time.Minute {
					t.Fatalf("seed %d: %d requests within %v", seed, perMinute+1, took)
				}
			}
			if took := went[len(went)-1].Sub(went[0]); took > 12*time.Minute {
				t.Errorf("seed %d: %d requests took %v", seed, len(went), took)
			}
		})
	}
}
