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
	"github.com/nats-io/nuid"
)

// link is one connection, with the answers that arrive over it and a signal when it is lost.
type link struct {
	conn    *natsgo.Conn
	timeout time.Duration // the longest that one exchange may take
	api     string        // prefix of the JetStream API's subjects, with the dot
	inbox   string        // prefix of reply subjects, with the dot
	sub     *natsgo.Subscription

	mu      sync.Mutex
	waiting map[string]*exchange // by batch
	alive   context.Context      // ends at the next loss of the connection
	die     context.CancelFunc
	noInbox bool // this user may not subscribe to the inbox, so no answer can arrive
	health  health

	statuses chan natsgo.Status
	watching sync.WaitGroup
	once     sync.Once
}

// exchange is a request, or a batch of them, that waits for its answers.
type exchange struct {
	answers  chan *natsgo.Msg
	denied   chan *deniedError
	concerns func(subject string) bool
	hears    bool // it subscribes to the subjects that it concerns, and does not publish to them
	began    time.Time
}

func newLink(conn *natsgo.Conn, api string, timeout time.Duration) (*link, error) {
	k := &link{
		conn: conn, timeout: timeout, api: api, inbox: conn.NewInbox() + ".",
		waiting:  make(map[string]*exchange),
		statuses: conn.StatusChanged(natsgo.RECONNECTING, natsgo.DISCONNECTED, natsgo.CLOSED),
	}
	k.alive, k.die = context.WithCancel(context.Background())
	k.health.answerTimeout = firstAnswerTimeout
	told := conn.ErrorHandler()
	conn.SetErrorHandler(func(c *natsgo.Conn, sub *natsgo.Subscription, err error) {
		if told != nil {
			told(c, sub, err)
		}
		if errors.Is(err, natsgo.ErrPermissionViolation) {
			k.violation(err.Error())
		}
	})
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
			k.noInbox = false
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

// lacksInbox reports whether this user may not subscribe to its inbox. Only a new connection can find out that it may
// meanwhile.
func (k *link) lacksInbox() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.noInbox
}

// await registers an exchange for the answers to one batch. concerns recognises the subjects to which the batch is
// published or, if there are no answers, to which it subscribes. done ends the exchange; givenUp means that an answer
// was still missing.
func (k *link) await(
	batch string, answers int, concerns func(subject string) bool,
) (x *exchange, done func(givenUp bool)) {
	x = &exchange{
		answers: make(chan *natsgo.Msg, answers), denied: make(chan *deniedError, 1), concerns: concerns,
		hears: answers == 0, began: time.Now(),
	}
	k.mu.Lock()
	k.waiting[batch] = x
	if k.noInbox {
		x.denied <- &deniedError{subject: k.inbox, subscribe: true}
	}
	k.mu.Unlock()
	return x, func(givenUp bool) {
		k.mu.Lock()
		delete(k.waiting, batch)
		if givenUp {
			k.health.giveUp(batch, x.began)
		}
		k.mu.Unlock()
	}
}

// route passes an answer to whoever waits for it. It drops answers that nobody waits for any more.
func (k *link) route(m *natsgo.Msg) {
	batch, _, _ := strings.Cut(strings.TrimPrefix(m.Subject, k.inbox), ".")
	k.mu.Lock()
	x := k.waiting[batch]
	if x == nil {
		k.health.late(batch, time.Now())
	} else {
		k.health.took = time.Since(x.began)
	}
	k.mu.Unlock()
	if x == nil {
		return
	}
	select {
	case x.answers <- m:
	default: // more answers than messages: nobody needs them
	}
}

// violation passes a permission violation on to the publisher. The server reports it for the connection, and not in an
// answer.
func (k *link) violation(text string) {
	_, rest, _ := strings.Cut(text, `"`)
	subject, _, _ := strings.Cut(rest, `"`)
	denied := &deniedError{subject: subject, subscribe: strings.Contains(text, "Subscription")}
	k.mu.Lock()
	defer k.mu.Unlock()
	inbox := strings.HasPrefix(subject, k.inbox)
	k.noInbox = k.noInbox || inbox && denied.subscribe
	for _, x := range k.waiting {
		if inbox || x.hears == denied.subscribe && x.concerns(subject) {
			select {
			case x.denied <- denied:
			default: // reported already
			}
		}
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

// deniedError is a right that the user of the connection lacks. Its text does not contain the subject, which may name a
// chat.
type deniedError struct {
	subject   string
	subscribe bool
}

func (e *deniedError) Error() string {
	if e.subscribe {
		return "this NATS user may not subscribe to a subject that it has to hear"
	}
	return "this NATS user may not publish there"
}

// These errors end an exchange without an answer.
var (
	errNoAnswer     = errors.New("no answer in time")
	errNoResponders = errors.New("no JetStream stream has this subject")
	errLost         = errors.New("the connection was lost")
	errOneReply     = errors.New("only the first of several replies arrives")
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
	answer, err := k.request(ctx, &natsgo.Msg{Subject: k.api + subject, Data: body})
	if err != nil {
		k.note(err)
		return err
	}
	var failure struct {
		Error *apiError `json:"error"`
	}
	if err := json.Unmarshal(answer, &failure); err != nil {
		return fmt.Errorf("decode answer: %w", err)
	}
	if failure.Error != nil {
		k.note(failure.Error)
		return failure.Error
	}
	k.note(nil)
	if err := json.Unmarshal(answer, response); err != nil {
		return fmt.Errorf("decode answer: %w", err)
	}
	return nil
}

// request makes one request that has one answer. It draws no conclusion about the server.
func (k *link) request(ctx context.Context, m *natsgo.Msg) ([]byte, error) {
	if !k.conn.IsConnected() {
		return nil, errLost
	}
	life, id := k.life(), nuid.Next()
	x, done := k.await(id, 1, func(other string) bool { return other == m.Subject })
	givenUp := false
	defer func() { done(givenUp) }()
	m.Reply = k.inbox + id + ".1"
	if err := k.conn.PublishMsg(m); err != nil {
		return nil, errors.Join(errLost, err)
	}
	timer := time.NewTimer(k.answerTimeout(len(m.Data)))
	defer timer.Stop()
	select {
	case m := <-x.answers:
		if m.Header.Get("Status") == noResponders {
			return nil, errNoResponders
		}
		return m.Data, nil
	case denied := <-x.denied:
		return nil, denied
	case <-ctx.Done():
		givenUp = true // the answer may still show that the server is slow
		return nil, ctx.Err()
	case <-life.Done():
		return nil, errLost
	case <-timer.C:
		givenUp = true
		return nil, errNoAnswer
	}
}
