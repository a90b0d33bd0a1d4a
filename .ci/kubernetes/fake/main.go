// Command fake stands beside the connector in a test cluster: it serves a fake 2Chat, forwards a loopback port to it (the connector
// takes plain HTTP from loopback alone), and holds what a NATS stream has against what was listed.
//
//	fake serve -listen :9900 -numbers 3 -history 500 -rate 2
//	fake forward 127.0.0.1:9900 sim:9900
//
// Of serve, beside the API: GET /-/audit?nats=URL&stream=NAME reads the stream back with a plain client; POST /-/key?is=KEY;
// POST /-/quiet, /-/resume; POST /-/mark begins to measure how long a number was not read, GET /-/unread says it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

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
	switch {
	case len(args) == 3 && args[0] == "forward":
		return forward(ctx, args[1], args[2])
	case len(args) > 0 && args[0] == "serve":
		return serve(ctx, args[1:])
	}
	return errors.New("expected: serve FLAGS, or forward FROM TO")
}

type server struct {
	fake    *twochattest.Fake
	numbers []string

	mu   sync.Mutex
	last map[string]time.Time // when each number was read last
	gap  time.Duration        // the longest that any was not
}

func serve(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	listen := flags.String("listen", ":9900", "`address`")
	numbers := flags.Int("numbers", 1, "how `many`")
	history := flags.Int("history", 500, "messages that each number has from the start")
	rate := flags.Float64("rate", 2, "messages a second for each number")
	key := flags.String("key", "", "the only API key; empty: any")
	if err := flags.Parse(args); err != nil {
		return err
	}
	s := &server{last: map[string]time.Time{}}
	for i := range *numbers {
		s.numbers = append(s.numbers, fmt.Sprintf("+1555010%04d", i+100))
	}
	s.fake = twochattest.New(twochattest.Options{
		Seed: 1, Numbers: s.numbers, Key: *key, History: *history, RequestsPerMinute: 6000, Credits: 1_000_000_000,
	})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /-/audit", s.audit)
	mux.HandleFunc("POST /-/key", func(_ http.ResponseWriter, r *http.Request) { s.fake.SetKey(r.URL.Query().Get("is")) })
	mux.HandleFunc("POST /-/mark", s.mark)
	mux.HandleFunc("GET /-/unread", s.unread)
	done := make(chan struct{})
	var quiet sync.Map
	mux.HandleFunc("POST /-/quiet", func(http.ResponseWriter, *http.Request) { quiet.Store("", true) })
	mux.HandleFunc("POST /-/resume", func(http.ResponseWriter, *http.Request) { quiet.Delete("") })
	mux.HandleFunc("/", s.api)
	go func() {
		defer close(done)
		ticker := time.NewTicker(time.Duration(float64(time.Second) / max(*rate, 0.01)))
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if _, is := quiet.Load(""); is || *rate <= 0 {
				continue
			}
			for _, number := range s.numbers {
				s.fake.Insert(number, 1)
			}
		}
	}()
	web := &http.Server{Addr: *listen, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = web.Close() })
	err := web.ListenAndServe()
	<-done
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (s *server) api(w http.ResponseWriter, r *http.Request) {
	for _, number := range s.numbers {
		if strings.Contains(r.URL.Path, "/messages/"+number) {
			now := time.Now()
			s.mu.Lock()
			if last, ok := s.last[number]; ok {
				s.gap = max(s.gap, now.Sub(last))
			}
			s.last[number] = now
			s.mu.Unlock()
		}
	}
	s.fake.ServeHTTP(w, r)
}

func (s *server) mark(http.ResponseWriter, *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gap = 0
	for number := range s.last {
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

// audit answers 200 where every number's log is as it should be, else 409, with the counts.
func (s *server) audit(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
	defer cancel()
	audits := map[string]*twochattest.Audit{}
	for _, number := range s.numbers {
		audits["whatsapp."+strings.TrimPrefix(number, "+")+"."] = &twochattest.Audit{}
	}
	err := readBack(ctx, r.URL.Query().Get("nats"), r.URL.Query().Get("stream"), func(subject string, event []byte) error {
		for prefix, audit := range audits {
			if strings.HasPrefix(subject, prefix) {
				return audit.SeeCloudEvent(event)
			}
		}
		return nil
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	status, text := http.StatusOK, ""
	for _, number := range s.numbers {
		report := audits["whatsapp."+strings.TrimPrefix(number, "+")+"."].Report(s.fake.Truth(number))
		if !report.Clean() {
			status = http.StatusConflict
		}
		text += fmt.Sprintf("%s: %d listed, %d events, %d lost, %d doubled, %d out of order, %d gaps\n",
			number, report.Wanted, report.Events, report.Lost, report.Doubled, report.OutOfOrder, report.Gaps)
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// readBack gives each message of a stream in its order.
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
	consumer, err := js.OrderedConsumer(ctx, name, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return err
	}
	defer messages.Stop()
	for {
		message, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		if err := each(message.Subject(), message.Data()); err != nil {
			return err
		}
		if meta, err := message.Metadata(); err != nil || meta.NumPending == 0 {
			return err
		}
	}
}

// forward gives each connection to one address on to another.
func forward(ctx context.Context, from, to string) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", from)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { _ = listener.Close() })
	var connections sync.WaitGroup
	defer connections.Wait()
	for {
		inner, err := listener.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		connections.Go(func() { join(ctx, inner, to) })
	}
}

func join(ctx context.Context, inner net.Conn, to string) {
	defer inner.Close()
	outer, err := new(net.Dialer).DialContext(ctx, "tcp", to)
	if err != nil {
		return
	}
	defer outer.Close()
	stop := context.AfterFunc(ctx, func() { _ = inner.Close(); _ = outer.Close() })
	defer stop()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(inner, outer)
		_ = inner.Close()
	})
	_, _ = io.Copy(outer, inner)
	_ = outer.Close()
	back.Wait()
}
