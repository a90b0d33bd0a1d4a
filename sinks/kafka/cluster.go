package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/metadata"
)

const (
	// askTime limits how long all brokers together are asked for the leaders, so that a broker that hangs does not delay
	// others for longer.
	askTime = 3 * time.Second
	// grace is how long to wait for the other brokers once most have answered.
	grace = 300 * time.Millisecond
	// maxAsked limits how many brokers are asked if none is known to hold a replica.
	maxAsked = 5
)

// cluster knows the brokers and sends requests to them. It replaces kafka-go's Transport, which believes a single
// broker: a broker that lost its controller keeps naming itself the leader of partitions that others lead meanwhile.
// Here all brokers that hold replicas are asked, and the newest term (the leader's epoch) wins. Where it matters, most
// of the brokers must have answered.
type cluster struct {
	bootstrap []string
	topics    []string
	wires     *connPool
	gate      chan struct{} // holds one token: whoever has it asks
	work      sync.WaitGroup

	mu           sync.Mutex
	view         *view
	met          bool             // brokers were reached at the addresses that they advertise
	misledSince  time.Time        // since when they cannot be
	coordinators map[string]int32 // by transactional id
}

// view is what the brokers reported at one time. It is immutable.
type view struct {
	asked    time.Time // before the first broker was
	id       string    // of the cluster
	control  int32
	brokers  map[int32]string // their advertised addresses
	behind   map[int32]bool   // brokers whose answer had an outdated term
	answered map[string]bool  // addresses
	failed   map[string]error // addresses that gave no answer
	topics   map[string]seenTopic
	doubted  bool // an answer contradicted it: the brokers have to be asked again
	most     bool // most of the brokers that had to answer did
}

type seenTopic struct {
	err        error
	partitions map[int32]leadership
}

// leadership is the leader of a partition, and its term.
type leadership struct {
	leader, epoch int32
	replicas, isr []int32
	err           error
}

func newCluster(config Config, topics []string) *cluster {
	c := &cluster{
		bootstrap: config.Brokers, topics: topics, gate: make(chan struct{}, 1), coordinators: make(map[string]int32),
		wires: newConnPool(config, "twochat-connector"),
	}
	c.gate <- struct{}{}
	return c
}

func (c *cluster) close() {
	c.wires.close()
	c.work.Wait()
}

// doubt makes the next user of the view ask the brokers again, after an answer contradicted it.
func (c *cluster) doubt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.view != nil && !c.view.doubted {
		doubted := *c.view
		doubted.doubted = true
		c.view = &doubted
	}
}

// known returns the current view. It asks the brokers if there is none, or if it is in doubt.
func (c *cluster) known(ctx context.Context) (*view, error) { return c.since(ctx, time.Time{}) }

// since returns a view for which the brokers were asked after the given moment.
func (c *cluster) since(ctx context.Context, moment time.Time) (*view, error) {
	good := func() *view {
		c.mu.Lock()
		defer c.mu.Unlock()
		if v := c.view; v != nil && !v.doubted && !v.asked.Before(moment) {
			return v
		}
		return nil
	}
	if v := good(); v != nil {
		return v, nil
	}
	select {
	case token := <-c.gate:
		defer func() { c.gate <- token }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if v := good(); v != nil { // another caller has asked meanwhile
		return v, nil
	}
	v, err := c.ask(ctx)
	if err != nil {
		return nil, &unaskedError{"find the leaders", err}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.view = v
	return v, nil
}

// settled returns a view that most brokers confirm, asked for after the given moment.
func (c *cluster) settled(ctx context.Context, moment time.Time) (*view, error) {
	v, err := c.since(ctx, moment)
	switch {
	case err != nil:
		return nil, err
	case !v.most:
		if err := c.misled(v, time.Now()); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %s", errFewAnswer, v.silent())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.met, c.misledSince = true, time.Time{}
	return v, nil
}

// errFewAnswer means that too few brokers answered to know whether their answers are still valid.
var errFewAnswer = errors.New("less than a majority of the brokers answers, and those may be outdated")

// silent names the brokers that did not answer, and why.
func (v *view) silent() string {
	var list []string
	for _, address := range slices.Sorted(maps.Keys(v.failed)) {
		text := v.failed[address].Error()
		if !strings.HasPrefix(text, address) {
			text = address + ": " + text
		}
		list = append(list, text)
	}
	return strings.Join(list, "; ")
}

// said is one broker's answer.
type said struct {
	address string
	answer  *metadata.Response
	err     error
}

// ask asks the known brokers, or the configured ones, and all that they name.
func (c *cluster) ask(ctx context.Context) (*view, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	c.mu.Lock()
	before := c.view
	c.mu.Unlock()
	began := time.Now()
	answers := make(chan said, 256)
	var all []said
	asked := make(map[string]bool)
	ask := func(addresses []string) {
		for _, address := range addresses {
			if len(asked) < cap(answers) && !asked[address] {
				asked[address] = true
				c.work.Go(func() { answers <- c.askOne(ctx, address) })
			}
		}
	}
	if before != nil {
		ask(before.holders())
	} else {
		ask(c.bootstrap)
	}
	var enough <-chan time.Time
	for len(all) < len(asked) {
		select {
		case one := <-answers:
			all = append(all, one)
		case <-enough:
			cancel() // the remaining requests end soon
			enough = nil
			continue
		}
		v := merge(all, began)
		if v != nil {
			ask(v.holders())
		} else if len(all) == len(asked) {
			ask(c.bootstrap)
		}
		if v != nil && v.most && enough == nil && ctx.Err() == nil {
			enough = time.After(grace)
		}
	}
	if v := merge(all, began); v != nil {
		return v, nil
	}
	if err := context.Cause(ctx); errors.Is(err, context.Canceled) {
		return nil, err
	}
	var errs []error
	for _, one := range all {
		errs = append(errs, one.err)
	}
	return nil, severalErrors(errs)
}

func (c *cluster) askOne(ctx context.Context, address string) said {
	answer, err := answerAs[*metadata.Response](
		c.wires.ask(ctx, address, askTime, &metadata.Request{TopicNames: c.topics}))
	return said{address: address, answer: answer, err: err}
}

// merge makes one view from the brokers' answers: the newest term of each partition, and the rest from the broker with
// the newest terms. It returns nil if no broker answered.
func merge(all []said, began time.Time) *view {
	v := &view{
		asked: began, brokers: make(map[int32]string), behind: make(map[int32]bool), answered: make(map[string]bool),
		failed: make(map[string]error), topics: make(map[string]seenTopic),
	}
	var answers []said
	for _, one := range all {
		if one.err != nil {
			v.failed[one.address] = one.err
			continue
		}
		v.answered[one.address] = true
		answers = append(answers, one)
	}
	if len(answers) == 0 {
		return nil
	}
	slices.SortStableFunc(answers, func(a, b said) int { return cmp.Compare(terms(b.answer), terms(a.answer)) })
	newest := answers[0].answer
	v.id, v.control = newest.ClusterID, newest.ControllerID
	for _, b := range newest.Brokers {
		v.brokers[b.NodeID] = net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))
	}
	for _, one := range answers {
		for _, t := range one.answer.Topics {
			v.topics[t.Name] = v.topics[t.Name].with(t)
		}
	}
	for _, one := range answers {
		for id, address := range v.brokers {
			if address == one.address && one.answer != newest && v.outdates(one.answer) {
				v.behind[id] = true
			}
		}
	}
	need, have := 0, 0
	for _, address := range v.holders() {
		need++
		if v.answered[address] {
			have++
		}
	}
	v.most = 2*have > need
	return v
}

// terms measures how new an answer is: a partition's term grows with each leader.
func terms(answer *metadata.Response) (sum int64) {
	for _, t := range answer.Topics {
		for _, p := range t.Partitions {
			sum += 1 + int64(p.LeaderEpoch)
		}
	}
	return sum
}

// with adds what one broker reports of a topic.
func (t seenTopic) with(said metadata.ResponseTopic) seenTopic {
	if t.partitions == nil {
		t.partitions = make(map[int32]leadership)
		t.err = codeError(said.ErrorCode)
	}
	if said.ErrorCode != 0 {
		return t
	}
	t.err = nil
	for _, p := range said.Partitions {
		one := leadership{p.LeaderID, p.LeaderEpoch, p.ReplicaNodes, p.IsrNodes, codeError(p.ErrorCode)}
		held, ok := t.partitions[p.PartitionIndex]
		if !ok || one.epoch > held.epoch || one.epoch == held.epoch && held.err != nil && one.err == nil {
			t.partitions[p.PartitionIndex] = one
		}
	}
	return t
}

// outdates reports whether an answer names an outdated term.
func (v *view) outdates(answer *metadata.Response) bool {
	for _, t := range answer.Topics {
		for _, p := range t.Partitions {
			if held, ok := v.topics[t.Name].partitions[p.PartitionIndex]; ok && p.LeaderEpoch < held.epoch {
				return true
			}
		}
	}
	return false
}

// holders lists the addresses of the brokers that hold replicas of the topics, as they must know the leaders. If there
// are no replicas, it lists a few of all brokers.
func (v *view) holders() []string {
	ids := make(map[int32]bool)
	for _, t := range v.topics {
		for _, p := range t.partitions {
			for _, id := range p.replicas {
				if v.brokers[id] != "" {
					ids[id] = true
				}
			}
		}
	}
	if len(ids) == 0 {
		for _, id := range slices.Sorted(maps.Keys(v.brokers)) {
			if len(ids) < maxAsked {
				ids[id] = true
			}
		}
	}
	var list []string
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		list = append(list, v.brokers[id])
	}
	return list
}

// of returns the leader of a partition. A leader without a term is an error, as an old leader could not be told from
// the new one.
func (v *view) of(at topicPartition) (leadership, error) {
	topic, ok := v.topics[at.topic]
	if !ok || topic.err != nil {
		return leadership{}, cmp.Or(topic.err, error(kafkago.UnknownTopicOrPartition))
	}
	found, ok := topic.partitions[at.partition]
	switch {
	case !ok:
		return found, kafkago.UnknownTopicOrPartition
	case found.leader < 0:
		return found, cmp.Or(found.err, error(kafkago.LeaderNotAvailable))
	case found.epoch < 0:
		return found, errTooOld
	}
	return found, nil
}

// same reports whether the partitions of a topic have the same leaders with the same terms as in another view.
func (v *view) same(other *view, topic string) bool {
	a, b := v.topics[topic], other.topics[topic]
	if a.err != nil || b.err != nil || len(a.partitions) == 0 || len(a.partitions) != len(b.partitions) {
		return false
	}
	for p, held := range a.partitions {
		if now := b.partitions[p]; now.leader != held.leader || now.epoch != held.epoch {
			return false
		}
	}
	return true
}

func codeError(code int16) error {
	if code == 0 {
		return nil
	}
	return kafkago.Error(code)
}
