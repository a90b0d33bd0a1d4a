package kafka

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

const (
	// watchEvery is how often the topics' settings are checked while the sink is in use.
	watchEvery = 3 * time.Minute
	// watchSoonest is how soon they are checked again when something goes wrong.
	watchSoonest = 10 * time.Second
)

// watch checks the topics' settings while the sink is in use. Somebody may change them, and what is refused at the
// start is then refused as well.
type watch struct {
	sink  *Sink
	once  sync.Once
	woken chan struct{}

	mu      sync.Mutex
	refused *connector.Refusal
	warned  map[string]bool // texts of the last findings
	primed  bool            // false until the first check, whose findings were reported at the start
}

func newWatch(s *Sink) *watch {
	return &watch{sink: s, woken: make(chan struct{}, 1), warned: make(map[string]bool)}
}

// wake makes the watch check the settings soon.
func (w *watch) wake() {
	select {
	case w.woken <- struct{}{}:
	default:
	}
}

// refusal returns what has to be fixed before anything else is written, or nil.
func (w *watch) refusal() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refused == nil {
		return nil
	}
	return w.refused
}

// begin starts the watch, once.
func (w *watch) begin() {
	w.once.Do(func() { w.sink.background.Go(w.run) })
}

func (w *watch) run() {
	life := w.sink.life
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for last := time.Now(); life.Err() == nil; last = time.Now() {
		w.look(life)
		select {
		case <-ticker.C:
		case <-w.woken:
			_ = connector.Sleep(life, time.Until(last.Add(watchSoonest)))
		case <-life.Done():
		}
	}
}

// look checks the topics as Check does, and keeps the findings. If they cannot be read, the earlier findings stay
// valid.
func (w *watch) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	s := w.sink
	i := &inspection{sink: s}
	v, err := s.cluster.settled(ctx, time.Now())
	if err != nil {
		return
	}
	for _, topic := range s.topics.all() {
		if v.topics[topic].err == nil { // a missing topic is found by the commits
			i.topic(ctx, v, topic)
		}
	}
	if i.gone != nil {
		return
	}
	w.take(i.found, func(f connector.Finding) {
		s.logger.Warn("a Kafka setting has changed", "thing", f.Thing, "now", f.Text, "hint", f.Hint)
	})
}

// take keeps the findings, and logs the new ones.
func (w *watch) take(found []connector.Finding, tell func(connector.Finding)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refused = nil
	warned := make(map[string]bool)
	for _, f := range found {
		// Accepted findings are recorded too, so that a change is reported even if both values are accepted, such as
		// keeping events for a day instead of forever.
		text := f.Thing + ": " + f.Text
		warned[text] = true
		if !w.warned[text] && (w.primed || f.Level == connector.FindingRefused) {
			tell(f)
		}
		if f.Level == connector.FindingRefused && w.refused == nil {
			w.refused = &connector.Refusal{Thing: f.Thing, Cause: f.Text, Hint: f.Hint}
		}
	}
	w.warned, w.primed = warned, true
}

// relook checks the settings again when a stream is taken over during a refusal, as somebody may have fixed them.
func (w *watch) relook(ctx context.Context) error {
	if w.refusal() == nil {
		return nil
	}
	w.look(ctx)
	err := w.refusal()
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return err
}
