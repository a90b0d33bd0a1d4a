package embedded

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync/atomic"

	"github.com/twochat-connector/twochat-connector/connector"
)

const (
	// roomToStart is how many bytes must be free before a server is started.
	roomToStart = 256 << 10
	// roomForMessage is more than a message takes in addition to its data. roomTwice is how often a batch is on disk: once
	// on its own, and once in the stream.
	roomForMessage = 2 << 10
	roomTwice      = 2
)

// health is the known state of the server. After a failed write to disk the server accepts no others until the sink
// restarts it.
type health struct {
	turn   chan struct{} // holds a token during a restart
	wanted *atomic.Int64 // how many bytes are missing; 0 if nothing is wrong
	silent *atomic.Int64 // unclear outcomes in a row without a known cause
}

// silentUntilIll is how many unclear outcomes in a row restart the server, as no network can be the cause.
const silentUntilIll = 3

func newHealth() health {
	return health{turn: make(chan struct{}, 1), wanted: new(atomic.Int64), silent: new(atomic.Int64)}
}

func (h *health) troubled(room int64) { h.wanted.Store(max(room, roomToStart)) }

// restartedLog is a JetStream log whose server may have to be restarted.
type restartedLog struct {
	connector.Log
	sink  *Sink
	claim connector.Claim
	held  uint64 // the sequence that the log is known to have reached
}

// Log returns a stream's log in the sink.
func (s *Sink) Log(claim connector.Claim) connector.Log {
	return &restartedLog{Log: s.Sink.Log(claim), sink: s, claim: claim}
}

// missing returns a refusal if the folder no longer exists.
func (l *restartedLog) missing() error {
	if !l.sink.folder.Load().lost() {
		return nil
	}
	known := max(l.held, l.sink.reached.known(l.claim.Stream.Name))
	return wentBack(l.sink.config.Dir, l.claim.Stream.Name, known, 0, known)
}

func (l *restartedLog) Acquire(ctx context.Context) (connector.State, error) {
	if err := l.missing(); err != nil {
		return connector.State{}, err
	}
	if err := l.sink.heal(ctx); err != nil {
		return connector.State{}, fmt.Errorf("acquire: %w", err)
	}
	if found, _, err := l.Peek(ctx); err == nil {
		if err := l.sink.reached.admit(l.sink.config.Dir, l.claim, found.Sequence); err != nil {
			return connector.State{}, err
		}
	}
	state, err := l.Log.Acquire(ctx)
	if err == nil {
		l.held = state.Checkpoint.Sequence
		l.sink.reached.keep(l.claim.Stream.Name, l.held)
	}
	return state, l.sink.examine(ctx, err, roomToStart)
}

func (l *restartedLog) Commit(
	ctx context.Context, events []connector.Event, rejects []connector.Reject, next connector.Checkpoint,
) error {
	if err := l.missing(); err != nil {
		return err
	}
	if err := l.sink.heal(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	room := int64(roomForMessage * (len(events) + len(rejects) + 1))
	for i := range events {
		room += int64(len(events[i].Data))
	}
	for i := range rejects {
		room += 2 * int64(len(rejects[i].Raw))
	}
	err := l.Log.Commit(ctx, events, rejects, next)
	if err == nil {
		l.held = next.Sequence
		l.sink.reached.keep(l.claim.Stream.Name, l.held)
	}
	return l.sink.examine(ctx, err, roomTwice*room)
}

// examine checks after an error whether the disk or the server is the cause. It does not change the outcome.
func (s *Sink) examine(ctx context.Context, err error, room int64) error {
	var rejected *connector.Rejected
	var refusal *connector.Refusal
	if err == nil || errors.Is(err, connector.ErrFenced) || errors.As(err, &rejected) || errors.As(err, &refusal) {
		s.health.silent.Store(0)
		return err
	}
	if ctx.Err() != nil {
		return err
	}
	if !errors.Is(err, connector.ErrNotNow) {
		s.health.silent.Add(1)
	}
	cause := s.room(room)
	if cause == nil {
		cause = s.ill()
	}
	if cause == nil {
		return err
	}
	s.health.troubled(room)
	return fmt.Errorf("%w: %w", err, cause)
}

// heal restarts the server if something is wrong and there is room again. It does not wait. The next Acquire resolves
// an unclear commit; fencing is unaffected, as it is in the stream.
func (s *Sink) heal(ctx context.Context) error {
	if s.health.wanted.Load() == 0 {
		return nil
	}
	select {
	case s.health.turn <- struct{}{}:
		defer func() { <-s.health.turn }()
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", connector.ErrNotNow, ctx.Err())
	}
	wanted := s.health.wanted.Load()
	if wanted == 0 { // another caller has done it
		return nil
	}
	if err := s.room(wanted); err != nil {
		return fmt.Errorf("%w: %w", connector.ErrNotNow, err)
	}
	if cause := s.ill(); cause != nil {
		s.logger.Warn("the embedded NATS server is being restarted", "cause", cause.Error())
		s.stop()
		if err := s.start(ctx); err != nil {
			// Even a refusal may pass here, for example if another program has taken the address meanwhile.
			return fmt.Errorf("%w: start again: %s", connector.ErrNotNow, err.Error())
		}
		s.health.silent.Store(0)
		s.folder.Store(new(identify(s.dir)))
		s.logger.Info("the embedded NATS server is running again")
	}
	s.health.wanted.Store(0)
	return nil
}

// room checks that this many more bytes can be written, by writing them, as quotas and reserves cannot be queried.
func (s *Sink) room(bytes int64) (err error) {
	probe, err := os.CreateTemp(s.dir, ".room-*")
	if err == nil {
		defer func() {
			err = errors.Join(err, probe.Close(), os.Remove(probe.Name()))
		}()
		block := make([]byte, 64<<10)
		for ; bytes > 0 && err == nil; bytes -= int64(len(block)) {
			_, err = probe.Write(block)
		}
		if err == nil {
			err = probe.Sync()
		}
	}
	if err != nil {
		return fmt.Errorf("the disk of the data folder %s is full: %w", s.config.Dir, plain(err))
	}
	return nil
}

func plain(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// ill returns the problem that the server reports, or nil.
func (s *Sink) ill() error {
	running := s.inside.running()
	switch {
	case running == nil:
		return errors.New("the embedded NATS server is not running")
	case s.health.silent.Load() >= silentUntilIll:
		return errors.New("the embedded NATS server does not answer")
	}
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "/healthz", http.NoBody)
	if err != nil {
		return fmt.Errorf("ask the server for its state: %w", err)
	}
	answer := &answer{header: http.Header{}}
	running.HandleHealthz(answer, request)
	var told struct {
		Status string `json:"status"`
		Error  string `json:"error"`
	}
	switch err := json.Unmarshal(answer.body.Bytes(), &told); {
	case err != nil:
		return fmt.Errorf("ask the server for its state: %w", err)
	case told.Status != "ok":
		return fmt.Errorf("the embedded NATS server does not write: %s", told.Error)
	}
	return nil
}

// answer receives what the server would answer over HTTP.
type answer struct {
	header http.Header
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }
func (a *answer) WriteHeader(int)             {}
