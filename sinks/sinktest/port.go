package sinktest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// FreePorts finds n consecutive ports on 127.0.0.1 on which nothing listens, and returns the first. They belong to the
// test until it ends.
func FreePorts(t testing.TB, n int) int {
	t.Helper()
	first, release, err := ReservePorts(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return first
}

// ReservePorts finds n consecutive ports on 127.0.0.1 on which nothing listens, and returns the first. They belong to
// the caller until release is called, whether it listens there or not: nobody else who calls this gets them, in this
// process or in another. They are below the ports that systems use for outgoing connections, as one of those could be
// taken before it is used.
func ReservePorts(ctx context.Context, n int) (first int, release func(), err error) {
	for range 100 {
		first = 12_000 + rand.IntN(18_000)
		if release = reserve(ctx, first, n); release != nil {
			return first, release, nil
		}
	}
	return 0, nil, fmt.Errorf("%d ports in a row are not free", n)
}

// reserve takes the ports, all or none; release is nil for none. The owner of a number's UDP port owns its TCP port as
// well.
func reserve(ctx context.Context, first, n int) (release func()) {
	var held []net.PacketConn
	release = func() {
		for _, conn := range held {
			_ = conn.Close()
		}
	}
	for port := first; port < first+n; port++ {
		address := fmt.Sprintf("127.0.0.1:%d", port)
		mark, err := new(net.ListenConfig).ListenPacket(ctx, "udp", address)
		if err != nil {
			release()
			return nil
		}
		held = append(held, mark)
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err != nil {
			release()
			return nil
		}
		_ = listener.Close()
	}
	return release
}
