package sinktest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// FreePorts finds n ports in a row on 127.0.0.1 on which nothing listens, and returns the first. They are the test's until it
// ends, whether it listens there or not: nobody else who asks here gets them, in this process or in another. They lie below
// those that systems give to outgoing connections, one of which would be taken again before it is used.
func FreePorts(t testing.TB, n int) int {
	t.Helper()
	for range 100 {
		first := 12_000 + rand.IntN(18_000)
		if reserve(t, first, n) {
			return first
		}
	}
	t.Fatalf("%d ports in a row are not free", n)
	return 0
}

// reserve takes the ports for the test, all or none. Who holds the UDP port of a number has its TCP port as well.
func reserve(t testing.TB, first, n int) bool {
	var held []net.PacketConn
	release := func() {
		for _, conn := range held {
			_ = conn.Close()
		}
	}
	for port := first; port < first+n; port++ {
		address := fmt.Sprintf("127.0.0.1:%d", port)
		mark, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", address)
		if err != nil {
			release()
			return false
		}
		held = append(held, mark)
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
		if err != nil {
			release()
			return false
		}
		_ = listener.Close()
	}
	t.Cleanup(release)
	return true
}
