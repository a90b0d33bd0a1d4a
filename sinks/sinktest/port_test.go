package sinktest

import (
	"fmt"
	"net"
	"testing"
)

// A port belongs to one test until that ends, even if nothing listens on it yet.
func TestFreePorts(t *testing.T) {
	var first int
	t.Run("held", func(t *testing.T) {
		first = FreePorts(t, 2)
		for port := first; port < first+2; port++ {
			if reserve(t.Context(), port, 1) != nil {
				t.Errorf("port %d was given away twice", port)
			}
		}
	})
	release := reserve(t.Context(), first, 2)
	if release == nil {
		t.Fatal("the ports are held longer than their test")
	}
	defer release()
	next := FreePorts(t, 1)
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", next))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if reserve(t.Context(), listener.Addr().(*net.TCPAddr).Port, 1) != nil {
		t.Error("a port was given away on which somebody listens")
	}
}
