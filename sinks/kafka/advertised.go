package kafka

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"syscall"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// misled explains why no broker can be reached although one answers: the brokers advertise addresses that cannot be
// reached from here. This may pass, for example if names become known only after the brokers start. So it is a refusal
// only after a while, and only if it never worked.
func (c *cluster) misled(v *view, now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	refusal := v.misleading()
	if refusal == nil {
		c.misledSince = time.Time{}
		return nil
	}
	if c.misledSince.IsZero() {
		c.misledSince = now
	}
	if c.met || now.Sub(c.misledSince) < missingTime {
		return fmt.Errorf("%w: %s: %s; %s", connector.ErrNotNow, refusal.Thing, refusal.Cause, refusal.Hint)
	}
	return refusal
}

// misleading returns a refusal if none of the addresses that the brokers advertise can be reached. A timeout does not
// prove that.
func (v *view) misleading() *connector.Refusal {
	if len(v.brokers) == 0 {
		return nil
	}
	for _, address := range v.holders() {
		if v.answered[address] || !leadsNowhere(v.failed[address]) {
			return nil
		}
	}
	id := slices.Min(slices.Collect(maps.Keys(v.brokers)))
	for _, other := range slices.Sorted(maps.Keys(v.brokers)) {
		if v.failed[v.brokers[other]] != nil {
			id = other
			break
		}
	}
	answering := slices.Min(slices.Collect(maps.Keys(v.answered)))
	var connect *connectError
	cause := "that does not work from here"
	if errors.As(v.failed[v.brokers[id]], &connect) {
		cause = plainText(connect.err)
	}
	return &connector.Refusal{
		Thing: fmt.Sprintf("broker %d", id),
		Cause: fmt.Sprintf("%s answers, but the cluster says that broker %d has the address %s: %s", answering, id,
			v.brokers[id], cause),
		Hint: "set the broker's advertised.listeners to an address that this machine can reach, or make the name known " +
			"here (DNS, /etc/hosts)",
	}
}

func leadsNowhere(err error) bool {
	var name *net.DNSError
	var connect *connectError
	return errors.As(err, &connect) && (errors.As(err, &name) && name.IsNotFound || errors.Is(err, syscall.ECONNREFUSED))
}
