package admin

import (
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/publicsuffix"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
)

// adminConnections is how many connections the admin server accepts at a time. Further ones wait until one closes, at
// most for the server's timeouts.
const adminConnections = 128

// bounded limits the number of accepted connections.
type bounded struct {
	net.Listener
	slots chan struct{}
}

func (b *bounded) Accept() (net.Conn, error) {
	b.slots <- struct{}{}
	conn, err := b.Listener.Accept()
	if err != nil {
		<-b.slots
		return nil, err
	}
	return &boundedConn{Conn: conn, leave: sync.OnceFunc(func() { <-b.slots })}, nil
}

type boundedConn struct {
	net.Conn
	leave func()
}

func (c *boundedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// localNames are the endings of names that no stranger can register: those of a cluster or a private network.
var localNames = []string{".localhost", ".local", ".internal", ".lan", ".home.arpa", ".svc", ".cluster.local"}

// knownHost reports whether a request may use this name for the server: an address, a name that only a private network
// has, a service in the process's own Kubernetes namespace, or one of admin.hosts. Otherwise a web page could make a
// local browser read the admin server under the page's own name (DNS rebinding).
func knownHost(host string, named []string, namespace string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	return host == "" || net.ParseIP(host) != nil || !strings.Contains(host, ".") ||
		slices.ContainsFunc(named, func(name string) bool { return strings.EqualFold(name, host) }) ||
		slices.ContainsFunc(localNames, func(end string) bool { return strings.HasSuffix(host, end) }) ||
		inNamespace(host, namespace)
}

// guarded refuses requests whose Host names another server (DNS rebinding).
func guarded(next http.Handler, named []string, namespace string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !knownHost(r.Host, named, namespace) {
			answer(w, http.StatusMisdirectedRequest, plainText,
				[]byte("use the IP address, or add this name to admin.hosts\n"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// inNamespace reports whether a name is SERVICE.NAMESPACE in the process's own namespace. If the namespace has the name
// of a top-level domain of the Internet (dev, shop, cloud), such a name could be bought, and would lead out of the
// cluster: then it is not accepted.
func inNamespace(host, namespace string) bool {
	service, rest, ok := strings.Cut(host, ".")
	if !ok || namespace == "" || rest != namespace || !cli.NamespaceForm.MatchString(service) {
		return false
	}
	_, public := publicsuffix.PublicSuffix(namespace)
	return !public
}
