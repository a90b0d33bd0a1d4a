package cli

import (
	"context"
	"errors"
	"net"
	"syscall"
)

// NetCause describes why a request failed, without the addresses that the libraries quote. Where it cannot tell, it is
// otherwise.
func NetCause(err error, otherwise string) string {
	var (
		errno   syscall.Errno
		dns     *net.DNSError
		network net.Error
	)
	switch {
	case errors.As(err, &dns):
		return "its name does not resolve"
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "no answer in time"
	}
	return otherwise
}
