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
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/twochat-connector/twochat-connector/connector"
	natssink "github.com/twochat-connector/twochat-connector/sinks/nats"
)

const (
	// memberLife is how long an announcement counts: fleet.Lifetime. The server removes it then.
	memberLife = 10 * time.Second
	// membersHeard is how many messages of members may wait to be heard. A hundred members send 33 a second.
	membersHeard = 256
	// deafFor is how long a user without the right to hear members is not tried again over the same connection, as the
	// client logs each violation.
	deafFor = 10 * time.Minute
	// headerLastSequence is the last sequence that the stream must have.
	headerLastSequence = "Nats-Expected-Last-Sequence"
	// farewell is the stream that the message of a member that leaves expects. There is none of this name, so whoever
	// listens hears the message, and no stream stores it.
	farewell = "twochat-connector-farewell"
)

// members is the part of a sink in which replicas announce themselves. An announcement that fails says nothing about
// the server: a stream that one replica uses need not take any.
type members struct {
	sink *Sink
	life time.Duration // of an announcement

	mu         sync.Mutex
	announced  uint64             // stream sequence of the announcement that was acknowledged last
	refusal    *connector.Refusal // of the last announcement
	listed     bool               // the server has answered since the last announcement
	unanswered int                // announcements in a row that got no answer, although the server answered something else
	deaf       *link              // over which this user may not hear members, as it found out
	deafSince  time.Time
}

// memberSubjects is the filter for all members' announcements.
func memberSubjects(prefix string) string {
	return strings.TrimSuffix(natssink.MemberSubject(prefix, "x"), "x") + "*"
}

// AnnounceMember stores a message on the member's subject, which the server removes after its lifetime. As soon as it
// is acknowledged, every replica lists it. The error is a refusal if this can never work as things are.
func (m *members) AnnounceMember(ctx context.Context, id string) error {
	k, err := m.sink.connect(ctx)
	if err != nil {
		return fmt.Errorf("announce member: %w", err)
	}
	sequence, err := m.announce(ctx, k, id)
	silent := errors.Is(err, errNoAnswer) || errors.Is(err, context.DeadlineExceeded)
	if err != nil {
		err = m.failed(ctx, "announce member", k, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case err == nil:
		m.announced, m.unanswered = sequence, 0
	case silent && m.listed:
		// The announcement does not reach the stream. Replicas that listen keep the server from saying so.
		if m.unanswered++; m.unanswered > silencesBorne {
			err = memberHints{m.sink.hints}.unreached()
		}
	}
	m.listed, m.refusal = false, nil
	errors.As(err, &m.refusal)
	return err
}

func (m *members) announce(ctx context.Context, k *link, id string) (sequence uint64, err error) {
	if err := m.prepare(ctx, k); err != nil {
		return 0, err
	}
	body, err := json.Marshal(map[string]string{"id": id})
	if err != nil {
		return 0, err
	}
	return m.store(ctx, k, natssink.MemberSubject(m.sink.config.Subject, id), body, natsgo.Header{
		headerTTL:        {m.life.String()},
		headerOnlyStream: {m.sink.config.Stream},
	})
}

// prepare makes sure that members can announce themselves in the stream, and that it has begun with something else.
func (m *members) prepare(ctx context.Context, k *link) error {
	known, err := m.sink.known(ctx, k, false)
	switch {
	case err != nil:
		return err
	case known.refusal != nil:
		return known.refusal
	case known.alone != nil:
		return known.alone
	case !known.begun:
		return m.begin(ctx, k)
	}
	return nil
}

// begin stores for good that the stream has begun, unless something is in it already. Announcements do not stay: without
// this message, a stream that has held nothing else would look like one that was purged, and its first start would be
// refused.
func (m *members) begin(ctx context.Context, k *link) error {
	body, err := json.Marshal(map[string]string{"members": memberSubjects(m.sink.config.Subject)})
	if err != nil {
		return err
	}
	_, err = m.store(ctx, k, natssink.BegunSubject(m.sink.config.Subject), body, natsgo.Header{
		headerTTL:          {"never"},
		headerOnlyStream:   {m.sink.config.Stream},
		headerLastSequence: {"0"},
	})
	var api *apiError
	if errors.As(err, &api) && (api.Code == codeWrongSequence || api.Code == codeWrongSequencePlain) {
		err = nil // another one was first
	}
	if err == nil {
		m.sink.mu.Lock()
		m.sink.settings.begun = true
		m.sink.mu.Unlock()
	}
	return err
}

// store publishes one message, and returns its stream sequence.
func (m *members) store(
	ctx context.Context, k *link, subject string, body []byte, header natsgo.Header,
) (sequence uint64, err error) {
	header[natssink.HeaderContentType] = []string{"application/json"}
	answer, err := k.request(ctx, &natsgo.Msg{Subject: subject, Header: header, Data: body})
	if err != nil {
		return 0, err
	}
	sequence, final, err := settle(&natsgo.Msg{Data: answer}, "", 1)
	if err == nil && !final {
		err = errors.New("decode answer: it is empty")
	}
	return sequence, err
}

// WithdrawMember removes the member's announcements, and then tells whoever listens. If this user's announcements are
// refused, so would this be.
func (m *members) WithdrawMember(ctx context.Context, id string) error {
	m.mu.Lock()
	refusal := m.refusal
	m.mu.Unlock()
	if refusal != nil {
		return refusal
	}
	k, err := m.sink.connect(ctx)
	if err != nil {
		return fmt.Errorf("withdraw member: %w", err)
	}
	subject := natssink.MemberSubject(m.sink.config.Subject, id)
	var purged struct{}
	err = k.ask(ctx, "STREAM.PURGE."+m.sink.config.Stream, map[string]string{"filter": subject}, &purged)
	if err != nil {
		return m.failed(ctx, "withdraw member", k, err)
	}
	err = k.conn.PublishMsg(&natsgo.Msg{Subject: subject, Header: natsgo.Header{headerOnlyStream: {farewell}}})
	if err != nil {
		return fmt.Errorf("withdraw member: tell the others: %w", err)
	}
	// Whoever withdraws is about to exit.
	bounded, cancel := context.WithTimeout(ctx, k.answerTimeout(0))
	defer cancel()
	if err := k.conn.FlushWithContext(bounded); err != nil {
		return fmt.Errorf("withdraw member: tell the others: %w", err)
	}
	return nil
}

// ListMembers asks the stream's leader which subjects of members hold a message. A leader that is behind, for example
// because it was cut off from the others, is recognised by what this sink itself has announced.
func (m *members) ListMembers(ctx context.Context) ([]string, error) {
	k, err := m.sink.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("list members: %w", err)
	}
	m.mu.Lock()
	announced := m.announced
	m.mu.Unlock()
	var ids []string
	for {
		var page struct {
			jetstream.StreamInfo
			Total int `json:"total"`
		}
		request := struct {
			Filter string `json:"subjects_filter"`
			Offset int    `json:"offset,omitempty"`
		}{memberSubjects(m.sink.config.Subject), len(ids)}
		if err := k.ask(ctx, "STREAM.INFO."+m.sink.config.Stream, request, &page); err != nil {
			return nil, m.failed(ctx, "list members", k, err)
		}
		if known := learn(m.sink, &page.StreamInfo); known.alone != nil {
			return nil, known.alone
		}
		if page.State.LastSeq < announced {
			return nil, fmt.Errorf("list members: %w: the server that answered is behind: it does not hold stream sequence "+
				"%d yet", connector.ErrNotNow, announced)
		}
		for subject := range page.State.Subjects {
			ids = append(ids, nameOf(subject))
		}
		if len(page.State.Subjects) == 0 || len(ids) >= page.Total {
			m.mu.Lock()
			m.listed = true
			m.mu.Unlock()
			return ids, nil
		}
	}
}

// HearMembers subscribes to what members publish, beside the stream that stores it.
func (m *members) HearMembers(ctx context.Context, heard func(id string, leaves bool)) error {
	k, err := m.sink.connect(ctx)
	if err != nil {
		return ended(ctx, fmt.Errorf("hear members: %w", err))
	}
	m.mu.Lock()
	deaf := m.deaf == k && time.Since(m.deafSince) < deafFor
	m.mu.Unlock()
	if deaf {
		return memberHints{m.sink.hints}.denied(true)
	}
	e, err := m.listen(k)
	if err != nil {
		return ended(ctx, fmt.Errorf("hear members: %w: %w", connector.ErrNotNow, err))
	}
	defer e.close()
	for life := k.life(); ; {
		select {
		case message := <-e.messages:
			// Anything else, for example what check sends, is neither an announcement nor a farewell.
			stream := message.Header.Get(headerOnlyStream)
			if stream == m.sink.config.Stream || stream == farewell {
				heard(nameOf(message.Subject), stream == farewell)
			}
		case denied := <-e.denied:
			m.mu.Lock()
			m.deaf, m.deafSince = k, time.Now()
			m.mu.Unlock()
			return m.sink.hints.denial(denied)
		case <-ctx.Done():
			return nil
		case <-life.Done():
			if k.conn.IsClosed() {
				return ended(ctx, fmt.Errorf("hear members: %w: %w", connector.ErrNotNow, errLost))
			}
			life = k.life() // the client subscribes again once it has another connection
		}
	}
}

// ear is a subscription to what members publish.
type ear struct {
	messages chan *natsgo.Msg
	denied   <-chan *deniedError
	close    func()
}

func (m *members) listen(k *link) (*ear, error) {
	filter := memberSubjects(m.sink.config.Subject)
	x, done := k.await(nuid.Next(), 0, func(subject string) bool { return subject == filter })
	messages := make(chan *natsgo.Msg, membersHeard)
	sub, err := k.conn.ChanSubscribe(filter, messages)
	if err != nil {
		done(false)
		return nil, errors.Join(errLost, err)
	}
	return &ear{messages: messages, denied: x.denied, close: func() {
		done(false)
		if err := sub.Unsubscribe(); err != nil {
			m.sink.logger.Debug("the subscription to members had ended already", "error", err.Error())
		}
	}}, nil
}

// failed turns the failure of an exchange about members into a refusal or ErrNotNow, or passes it on. If the stream took
// no message, its settings are read again, as they may explain it.
func (m *members) failed(ctx context.Context, operation string, k *link, err error) error {
	var refusal *connector.Refusal
	var api *apiError
	var denied *deniedError
	notNowError := fmt.Errorf("%s: %w: %w", operation, connector.ErrNotNow, err)
	switch {
	case errors.As(err, &refusal):
		return refusal
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", operation, err)
	case errors.As(err, &denied):
		return m.sink.hints.denial(denied)
	case errors.Is(err, errLost), errors.Is(err, errNoAnswer), errors.As(err, &api) && notNow(api):
		return notNowError
	case errors.As(err, &api) && m.sink.hints.refusal(api) != nil:
		return m.sink.hints.refusal(api)
	case api == nil && !errors.Is(err, errNoResponders):
		return fmt.Errorf("%s: %w", operation, err)
	}
	known, unread := m.sink.known(ctx, k, true)
	switch {
	case unread != nil:
		return notNowError
	case known.refusal != nil:
		return known.refusal
	case known.alone != nil:
		return known.alone
	}
	return notNowError
}
