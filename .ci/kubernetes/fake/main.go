// Command fake runs beside the connector in a test cluster. It serves a fake 2Chat, and compares a NATS stream with
// what the fake listed.
//
//	fake serve -listen :9900 -tls :9943 -numbers shop=+595981048477,+15550100100 -history 500 -rate 2
//
// The API is at -tls with the certificate /api.crt, because the connector accepts plain HTTP only from loopback. At
// -listen: GET /-/audit?nats=URL&log=NAME&of=STREAM,…&now=STREAM reads a log back with a plain client (now: the
// stream that began with the newest message); POST /-/key?is=KEY; POST /-/quiet, /-/resume; POST /-/mark?of=STREAM,…
// starts to measure how long a number was not read, and GET /-/unread returns it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/demo"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fake:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "serve" {
		return serve(ctx, args[1:])
	}
	return errors.New("expected: serve FLAGS")
}

type server struct {
	fake    *twochattest.Fake
	numbers map[string]string // by the streams' names

	mu   sync.Mutex
	last map[string]time.Time // when each watched number was last read
	gap  time.Duration        // the longest time without a read of a watched number
}

func serve(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	listen := flags.String("listen", ":9900", "`address` of what is beside the API")
	secure := flags.String("tls", ":9943", "`address` of the API")
	numbers := flags.String("numbers", "+15550100100",
		"the `list` of numbers, each with its stream's name before it where it has one")
	history := flags.Int("history", 500, "messages that each number has from the start")
	rate := flags.Float64("rate", 2, "messages a second for each number")
	key := flags.String("key", "", "the only API key; empty: any")
	if err := flags.Parse(args); err != nil {
		return err
	}
	s := &server{last: map[string]time.Time{}, numbers: map[string]string{}}
	for _, given := range strings.Split(*numbers, ",") {
		name, number, named := strings.Cut(given, "=")
		if !named {
			name, number = strings.TrimPrefix(given, "+"), given
		}
		s.numbers[name] = number
	}
	s.fake = twochattest.New(twochattest.Options{
		Seed: 1, Numbers: slices.Sorted(maps.Values(s.numbers)), Key: *key, History: *history, RequestsPerMinute: 6000,
		Credits: 1_000_000_000,
	})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /-/audit", s.audit)
	mux.HandleFunc("POST /-/key", func(_ http.ResponseWriter, r *http.Request) { s.fake.SetKey(r.URL.Query().Get("is")) })
	mux.HandleFunc("POST /-/mark", s.mark)
	mux.HandleFunc("GET /-/unread", s.unread)
	var quiet atomic.Bool
	mux.HandleFunc("POST /-/quiet", func(http.ResponseWriter, *http.Request) { quiet.Store(true) })
	mux.HandleFunc("POST /-/resume", func(http.ResponseWriter, *http.Request) { quiet.Store(false) })
	ended := make(chan error, 2)
	beside := &http.Server{Addr: *listen, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	api := &http.Server{Addr: *secure, Handler: http.HandlerFunc(s.api), ReadHeaderTimeout: 5 * time.Second}
	go func() { ended <- beside.ListenAndServe() }()
	go func() { ended <- api.ListenAndServeTLS("/api.crt", "/api.key") }()
	ticker := time.NewTicker(time.Duration(float64(time.Second) / max(*rate, 0.01)))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return errors.Join(beside.Close(), api.Close())
		case err := <-ended:
			return err
		case <-ticker.C:
		}
		if quiet.Load() || *rate <= 0 {
			continue
		}
		for _, number := range s.numbers {
			s.fake.Insert(number, 1)
		}
	}
}

func (s *server) api(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	for number, last := range s.last {
		if strings.Contains(r.URL.Path, "/messages/"+number) {
			s.gap = max(s.gap, time.Since(last))
			s.last[number] = time.Now()
		}
	}
	s.mu.Unlock()
	s.fake.ServeHTTP(w, r)
}

// of returns the streams that a request is about, with their numbers.
func (s *server) of(r *http.Request) map[string]string {
	chosen := map[string]string{}
	for _, name := range strings.Split(r.URL.Query().Get("of"), ",") {
		if number, ok := s.numbers[name]; ok {
			chosen[name] = number
		}
	}
	return chosen
}

func (s *server) mark(_ http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gap = 0
	clear(s.last)
	for _, number := range s.of(r) {
		s.last[number] = time.Now()
	}
}

func (s *server) unread(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gap := s.gap
	for _, last := range s.last {
		gap = max(gap, time.Since(last))
	}
	fmt.Fprintf(w, "%.1f\n", gap.Seconds())
}

// audit answers 200 if the log of each stream is correct, else 409, with the counts.
func (s *server) audit(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
	defer cancel()
	chosen := s.of(r)
	audits := map[string]*twochattest.Audit{}
	for name, number := range chosen {
		audits[name] = &twochattest.Audit{}
		if r.URL.Query().Get("now") == name {
			audits[name].From = s.fake.FirstRead(number, "")
		}
	}
	err := readBack(ctx, r.URL.Query().Get("nats"), r.URL.Query().Get("log"), func(subject string, event []byte) error {
		tokens := strings.Split(subject, ".")
		if audit := audits[tokens[1%len(tokens)]]; audit != nil && tokens[0] == "whatsapp" {
			return audit.SeeCloudEvent(event)
		}
		return nil
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	status, text := http.StatusOK, ""
	for _, name := range slices.Sorted(maps.Keys(chosen)) {
		report := audits[name].Report(s.fake.Truth(chosen[name]))
		if !report.Clean() || report.Events == 0 {
			status = http.StatusConflict
		}
		text += fmt.Sprintf("%s: %d listed, %d events, %d lost, %d doubled, %d out of order, %d gaps\n",
			name, report.Wanted, report.Events, report.Lost, report.Doubled, report.OutOfOrder, report.Gaps)
	}
	if text == "" {
		status, text = http.StatusBadRequest, "of: expected streams\n"
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// readBack calls each for every message of a stream, in order.
func readBack(ctx context.Context, url, name string, each func(subject string, event []byte) error) error {
	conn, err := natsgo.Connect(url)
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	return demo.ReadStream(ctx, js, name, ">", each)
}
