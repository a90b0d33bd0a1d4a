package main

import (
	"context"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
	"github.com/twochat-connector/twochat-connector/sinks"
)

type call struct {
	at     time.Time
	number string // "" for the account's information
	page   string
	status int
}

// wire carries requests to a fake 2Chat, and records them.
type wire struct {
	to    http.RoundTripper
	mu    sync.Mutex
	calls []call
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	c := call{at: time.Now(), page: r.URL.Query().Get("page_number")}
	if strings.Contains(r.URL.Path, "/messages/") {
		c.number = path.Base(r.URL.Path)
	}
	response, err := w.to.RoundTrip(r)
	if err == nil {
		c.status = response.StatusCode
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, c)
	return response, err
}

// since returns the wanted calls from a time on.
func (w *wire) since(from time.Time, wanted func(call) bool) []call {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []call
	for _, c := range w.calls {
		if !c.at.Before(from) && wanted(c) {
			list = append(list, c)
		}
	}
	return list
}

func asksAccount(c call) bool { return c.number == "" }
func asksList(c call) bool    { return c.number != "" }

// economy is a running pipeline on a fake 2Chat, inside a synctest bubble.
type economy struct {
	fake *twochattest.Fake
	wire *wire
	sink *clitest.MemorySink
	pipe *pipeline.Pipeline
	log  *clitest.Output
	end  func()
}

// newEconomy runs a pipeline until end is called. A stream's name is the last digit of its number.
func newEconomy(t *testing.T, fake *twochattest.Fake, numbers []string, set func(*config.Config)) *economy {
	t.Helper()
	return newEconomyOn(t, &clitest.MemorySink{}, fake, numbers, set)
}

// newEconomyOn is newEconomy on a sink that an earlier pipeline may have written to.
func newEconomyOn(t *testing.T, sink *clitest.MemorySink, fake *twochattest.Fake, numbers []string,
	set func(*config.Config),
) *economy {
	t.Helper()
	c := config.Default()
	c.Start = config.Start{Mode: config.StartBeginning}
	c.Sink.File = sinks.Defaults().File
	for _, number := range numbers {
		c.TwoChat.Streams = append(c.TwoChat.Streams, config.StreamConfig{
			Number: config.Number(number),
			Name:   number[len(number)-1:],
		})
	}
	set(&c)
	e := &economy{fake: fake, wire: &wire{to: fake.Transport()}, sink: sink, log: &clitest.Output{}}
	client, err := twochat.New(twochat.Config{
		BaseURL: "http://127.0.0.1:1", Key: func() (string, error) {
			return "key", nil
		}, Timeout: c.Poll.Timeout, Privacy: twochat.Privacy{Identifiers: twochat.Identifiers(config.Hashed)},
		Transport: e.wire,
	})
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(e.log, nil))
	e.pipe = pipeline.New(pipeline.Parts{
		Config: &c, Sink: e.sink, Sources: []pipeline.Source{{Config: &c, Client: client}},
		Registry: prometheus.NewRegistry(), Logger: logger,
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.pipe.Run(ctx) }()
	e.end = func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	return e
}
