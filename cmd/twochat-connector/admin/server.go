package admin

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/config"
)

// Server is the server for metrics, probes and status.
type Server struct {
	listener net.Listener
	server   *http.Server
	served   chan struct{} // closed when serving has ended
	Hosts    []string      // names under which the server may be addressed
	// Namespace is the Kubernetes namespace whose service names may be used as well; empty outside a cluster.
	Namespace string

	token       func() (string, error) // reads the token that requests need; nil: none
	certificate *certificate           // nil: no TLS
}

// Thing names the admin server in findings and errors.
const Thing = "admin server"

// Open binds the admin server that a configuration wants, with its token and its certificate.
func Open(c *config.Config) (*Server, error) {
	var own *certificate
	if c.Admin.TLS.Set() {
		own = &certificate{files: c.Admin.TLS}
		if err := own.read(); err != nil {
			return nil, err
		}
	}
	var token func() (string, error)
	if c.Admin.AsksForToken() {
		token = c.Admin.Token
		if _, err := token(); err != nil {
			return nil, tokenError(err)
		}
	}
	a, err := Listen(c.Admin.Listen)
	if err != nil {
		return nil, err
	}
	a.Hosts, a.token, a.certificate = c.Admin.Hosts, token, own
	return a, nil
}

// Listen binds the address; requests are answered only after Serve. With port 0 the system chooses a port.
func Listen(address string) (*Server, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address)
	if err != nil {
		cause := cli.NetCause(err, "the answer cannot be read")
		return nil, cli.Hinted(fmt.Errorf("%s: %s: %s", Thing, listenText(address), cause),
			"stop the program that uses the address, or set another with admin.listen; 127.0.0.1:0 takes any free port")
	}
	return &Server{listener: listener, served: make(chan struct{})}, nil
}

// listenText names the address to listen on, unless what was configured is not an address and may be a secret.
func listenText(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err == nil && (host == "" || host == "localhost" || net.ParseIP(host) != nil) {
		return "listen on " + address
	}
	return "listen"
}

// URL is the server's URL on this machine.
func (a *Server) URL() string {
	address := a.listener.Addr().String()
	if host, port, err := net.SplitHostPort(address); err == nil {
		if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
			address = net.JoinHostPort("127.0.0.1", port)
		}
	}
	if a.certificate != nil {
		return "https://" + address
	}
	return "http://" + address
}

// Serve starts to answer requests.
func (a *Server) Serve(handler http.Handler, logger *slog.Logger) {
	if a.token != nil {
		handler = &tokenGuard{next: handler, token: a.token, logger: logger}
	}
	a.server = &http.Server{
		Handler: guarded(handler, a.Hosts, a.Namespace), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: 30 * time.Second,
		MaxHeaderBytes: 16 << 10, ErrorLog: cli.LibraryLogger(logger),
	}
	serve := a.server.Serve
	if own := a.certificate; own != nil {
		a.server.TLSConfig = &tls.Config{
			MinVersion:     tls.VersionTLS12,
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return own.current(logger) },
		}
		serve = func(l net.Listener) error { return a.server.ServeTLS(l, "", "") }
	}
	go func() {
		defer close(a.served)
		if err := serve(&bounded{Listener: a.listener, slots: make(chan struct{}, adminConnections)}); !errors.Is(
			err, http.ErrServerClosed) {
			logger.Error("admin server ended", "cause", err)
		}
	}()
}

// Close shuts the server down after a short time for answers in flight, and waits for it.
func (a *Server) Close() {
	if a.server == nil {
		_ = a.listener.Close()
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if a.server.Shutdown(ctx) != nil {
		_ = a.server.Close()
	}
	<-a.served
}

// NewRegistry returns a registry with the metrics of the process.
func NewRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	b := cli.ThisBuild()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: "twochat_connector", Name: "build_info", Help: "1, with the version in its labels.",
		ConstLabels: prometheus.Labels{"version": b.Version, "revision": b.Revision, "goversion": b.Go},
	})
	info.Set(1)
	registry.MustRegister(info, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// Handler serves a registry and the recorded status. With exemplars it offers OpenMetrics, the only format that has
// them.
func Handler(registry *prometheus.Registry, exemplars bool, current func() pipeline.Report) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		Registry: registry, Timeout: 10 * time.Second, MaxRequestsInFlight: 4, ErrorHandling: promhttp.ContinueOnError,
		EnableOpenMetrics: exemplars,
	}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answerProbe(w, current().Wedged) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { answerProbe(w, current().NotReady) })
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		announce(w, "application/json")
		encoder := json.NewEncoder(w) // of a thousand streams it is two megabytes: no copy is made
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(current()); err != nil {
			http.Error(w, "the status cannot be written", http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { servePage(w, r, current()) })
	return mux
}

const plainText = "text/plain; charset=utf-8"

// answerProbe answers 200, or 503 with a line for each problem.
func answerProbe(w http.ResponseWriter, wrong []string) {
	status, text := http.StatusOK, "ok"
	if len(wrong) > 0 {
		status, text = http.StatusServiceUnavailable, strings.Join(wrong, "\n")
	}
	answer(w, status, plainText, []byte(text+"\n"))
}

func answer(w http.ResponseWriter, status int, contentType string, body []byte) {
	announce(w, contentType)
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// announce sets the headers of an answer.
func announce(w http.ResponseWriter, contentType string) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
}
