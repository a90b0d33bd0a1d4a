package kafka

import (
	"context"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// TestAdvertised has a broker that is reached at one address and advertises another, which leads nowhere: the check
// refuses it, and `run` waits for a while first. If the address worked before, the sink waits for it.
func TestAdvertised(t *testing.T) {
	for name, fault := range map[string]error{
		"does not resolve": &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{
			Err: "no such host", Name: "127.0.0.1",
			IsNotFound: true,
		}},
		"connection refused": &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED},
	} {
		t.Run(name, func(t *testing.T) {
			b := fake(t, 1)
			config := Config{Topic: newTopic(), Brokers: []string{"kafka.example.com:9092"}}
			s, err := Open(config, connector.Encoding{}, quiet)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			dial, broken := s.cluster.wires.dial, true
			s.cluster.wires.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				if address == b.address && broken {
					return nil, fault
				}
				return dial(ctx, network, b.address)
			}
			if err := s.Create(within(t)); outcomeOf(err) != notNow || !strings.Contains(err.Error(), "advertised.listeners") {
				t.Fatalf("got %v, want to be told to come back, and why", err)
			}
			s.cluster.misledSince = time.Now().Add(-missingTime)
			wantFinding(t, s, nil, connector.FindingRefused,
				"kafka.example.com:9092 answers, but the cluster says that broker 0 has the address "+b.address+": ")
			if err := s.Create(within(t)); refusalOf(err) == nil {
				t.Fatalf("got %v, want a refusal", err)
			}
			broken = false
			if err := s.Create(within(t)); err != nil {
				t.Fatal(err)
			}
			broken = true
			s.cluster.wires.drop(b.address)
			s.cluster.doubt()
			s.cluster.misledSince = time.Now().Add(-missingTime)
			if _, err := s.Log(sinktest.Claim("595981048477", "one")).Acquire(within(t)); outcomeOf(err) != notNow {
				t.Fatalf("got %v, want to be told to come back", err)
			}
		})
	}
}
