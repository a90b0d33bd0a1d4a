package kafka

import (
	"fmt"
	"testing"
	"time"
)

// TestMembers lets three replicas find each other, and notice that one leaves.
func TestMembers(t *testing.T) {
	everyBroker(t, func(t *testing.T, b *broker) {
		config := Config{Topic: newTopic()}
		createTopics(t, b, config)
		a := attend(t, b, config, "fleet/pod-a:8080.1")
		t.Logf("alone: %v", wantAll(30*time.Second, a)) // the cluster may have to make its topic for groups
		two := attend(t, b, config, "fleet/pod-b:8080.2")
		t.Logf("the second: %v", wantAll(5*time.Second, a, two))
		three := attend(t, b, config, "fleet/pod-c:8080.3")
		t.Logf("the third: %v", wantAll(5*time.Second, a, two, three))
		left := two.leave()
		t.Logf("one leaves: %v, of which %v its own", wantAll(2*time.Second, a, three)+left, left)
		if two.err != nil {
			t.Errorf("who left: %v", two.err)
		}
		for _, m := range []*attendant{a, two, three} {
			m.wantNoFailures()
		}
	})
}

// TestMembers_Cut cuts a replica off without a word. The others notice it by its session's end.
func TestMembers_Cut(t *testing.T) {
	t.Parallel() // it mostly waits
	everyBroker(t, func(t *testing.T, b *broker) {
		config := Config{Topic: newTopic()}
		createTopics(t, b, config)
		a, two := attend(t, b, config, "fleet/pod-a:8080.1"), attend(t, b, config, "fleet/pod-b:8080.2")
		wantAll(5*time.Second, a, two)
		two.die()
		t.Logf("one is cut off: %v", wantAll(15*time.Second, a))
	})
}

// TestMembers_Ghost starts a replica again that died without leaving: nobody waits for its session's end.
func TestMembers_Ghost(t *testing.T) {
	everyBroker(t, func(t *testing.T, b *broker) {
		config := Config{Topic: newTopic()}
		createTopics(t, b, config)
		for _, others := range []int{0, 1} {
			t.Run(fmt.Sprint(others), func(t *testing.T) {
				var all []*attendant
				for i := range others {
					all = append(all, attend(t, b, config, fmt.Sprintf("fleet/pod-%d:8080.1", i)))
				}
				dead := attend(t, b, config, "fleet/pod-x:8080.1")
				wantAll(5*time.Second, append(all, dead)...)
				dead.die()
				again := attend(t, b, config, "fleet/pod-x:8080.2")
				t.Logf("again: %v", wantAll(2*time.Second, append(all, again)...))
				again.wantNoFailures()
			})
		}
	})
}

// TestMembers_Coordinator kills and freezes the broker: nobody is given up because of it, and it is told when it is
// over.
func TestMembers_Coordinator(t *testing.T) {
	b := realBroker.real(t)
	if b == nil {
		t.Skip("only a real broker can be killed")
	}
	config := Config{Topic: newTopic()}
	createTopics(t, b, config)
	a, two := attend(t, b, config, "fleet/pod-a:8080.1"), attend(t, b, config, "fleet/pod-b:8080.2")
	wantAll(30*time.Second, a, two)
	for _, c := range []struct{ from, to string }{{"kill", "start"}, {"stop", "start"}, {"pause", "resume"}} {
		lists := make(map[*attendant]int)
		for _, m := range []*attendant{a, two} {
			lists[m], _ = m.seen()
		}
		b.script(t, c.from)
		for _, m := range []*attendant{a, two} {
			m.until(c.from, func(_ int, failures []error) bool { return len(failures) > 0 })
		}
		b.script(t, c.to)
		began := time.Now()
		for _, m := range []*attendant{a, two} {
			m.until(c.to, func(n int, _ []error) bool { return n > lists[m] })
		}
		wantAll(20*time.Second, a, two)
		t.Logf("%s, %s: %v", c.from, c.to, time.Since(began))
		for _, m := range []*attendant{a, two} {
			m.mu.Lock()
			m.failures = nil
			m.mu.Unlock()
		}
	}
	b.script(t, "pause")
	defer b.script(t, "resume")
	if took := a.leave(); took > leaveTime+time.Second {
		t.Errorf("it took %v to leave a broker that hangs", took)
	}
}
