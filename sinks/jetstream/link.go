package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"
)

// link is one connection, the answers that come over it, and word of its loss.
type link struct {
	conn    *natsgo.Conn
	timeout time.Duration
	inbox   string // prefix of reply subjects, with the dot
	sub     *natsgo.Subscription

	mu      sync.Mutex
	waiting map[string]chan *natsgo.Msg // by batch
	alive   context.Context             // ends at the next loss of the connection
	die     context.CancelFunc

	statuses chan natsgo.Status
	watching sync.WaitGroup
	once     sync.Once
}

func newLink(conn *natsgo.Conn, timeout time.Duration) (*link, error) {
	k := &link{
		conn: conn, timeout: timeout, inbox: conn.NewInbox() + ".",
		waiting:  make(map[string]chan *natsgo.Msg),
		statuses: conn.StatusChanged(natsgo.RECONNECTING, natsgo.DISCONNECTED, natsgo.CLOSED),
	}
	k.alive, k.die = context.WithCancel(context.Background())
	sub, err := conn.Subscribe(k.inbox+"*.*", k.route)
	if err != nil {
		conn.RemoveStatusListener(k.statuses)
		return nil, fmt.Errorf("subscribe to answers: %w", err)
	}
	k.sub = sub
	k.watching.Go(func() {
		for range k.statuses {
			k.mu.Lock()
			k.die()
			k.alive, k.die = context.WithCancel(context.Background())
			k.mu.Unlock()
		}
	})
	return k, nil
}

// close ends the connection and waits for the goroutine that watches it.
func (k *link) close() {
	k.once.Do(func() {
		k.conn.Close()
		k.conn.RemoveStatusListener(k.statuses)
		k.watching.Wait()
		k.die()
	})
}

// life ends when the connection is next lost.
func (k *link) life() context.Context {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.alive
}

// await opens a place for the answers to one batch; done closes it.
func (k *link) await(batch string, answers int) (ch <-chan *natsgo.Msg, done func()) {
	c := make(chan *natsgo.Msg, answers)
	k.mu.Lock()
	k.waiting[batch] = c
	k.mu.Unlock()
	return c, func() {
		k.mu.Lock()
		delete(k.waiting, batch)
		k.mu.Unlock()
	}
}

// route hands an answer to whoever waits for it. Answers that nobody waits for any more are dropped.
func (k *link) route(m *natsgo.Msg) {
	batch, _, _ := strings.Cut(strings.TrimPrefix(m.Subject, k.inbox), ".")
	k.mu.Lock()
	ch := k.waiting[batch]
	k.mu.Unlock()
	if ch == nil {
		return
	}
	select {
	case ch <- m:
	default: // more answers than messages: nobody can want them
	}
}

// apiError is an error that JetStream answered.
type apiError struct {
	Status      int    `json:"code"`
	Code        int    `json:"err_code"`
	Description string `json:"description"`
}

func (e *apiError) Error() string {
	return fmt.Sprintf("JetStream error %d (%s)", e.Code, e.Description)
}

// Ways in which an exchange ends without an answer.
var (
	errNoAnswer     = errors.New("no answer in time")
	errNoResponders = errors.New("no JetStream stream listens there")
	errLost         = errors.New("the connection was lost")
)

// ask makes one request of the JetStream API and decodes the answer into response.
func (k *link) ask(ctx context.Context, subject string, request, response any) error {
	var body []byte
	if request != nil {
		var err error
		if body, err = json.Marshal(request); err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
	}
	bounded, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	// The client would wait for the whole time-out for an answer that went down with the connection.
	defer context.AfterFunc(k.life(), cancel)()
	m, err := k.conn.RequestWithContext(bounded, "$JS.API."+subject, body)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, natsgo.ErrNoResponders):
		return errNoResponders
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, natsgo.ErrTimeout):
		return errNoAnswer
	default:
		return errors.Join(errLost, err)
	}
	var failure struct {
		Error *apiError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &failure); err != nil {
		return fmt.Errorf("decode answer: %w", err)
	}
	if failure.Error != nil {
		return failure.Error
	}
	if err := json.Unmarshal(m.Data, response); err != nil {
		return fmt.Errorf("decode answer: %w", err)
	}
	return nil
}
